#include "textflag.h"

// func sum64AVX2(sum *[64]int16, weights *int8, picked *uint32, n int, mask uint32)
// A row is 64 bytes, widened to four registers of 16 sums.
TEXT ·sum64AVX2(SB), NOSPLIT, $0-36
	MOVQ  sum+0(FP), DI
	MOVQ  weights+8(FP), SI
	MOVQ  picked+16(FP), BX
	MOVQ  n+24(FP), CX
	MOVL  mask+32(FP), DX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

row64:
	MOVL      (BX), AX
	ANDL      DX, AX
	SHLQ      $6, AX
	VPMOVSXBW (SI)(AX*1), Y4
	VPMOVSXBW 16(SI)(AX*1), Y5
	VPMOVSXBW 32(SI)(AX*1), Y6
	VPMOVSXBW 48(SI)(AX*1), Y7
	VPADDW    Y4, Y0, Y0
	VPADDW    Y5, Y1, Y1
	VPADDW    Y6, Y2, Y2
	VPADDW    Y7, Y3, Y3
	ADDQ      $4, BX
	DECQ      CX
	JNZ       row64

	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VZEROUPPER
	RET

// func sum16AVX2(sum *[16]int16, weights *int8, picked *uint32, n int, mask uint32)
TEXT ·sum16AVX2(SB), NOSPLIT, $0-36
	MOVQ  sum+0(FP), DI
	MOVQ  weights+8(FP), SI
	MOVQ  picked+16(FP), BX
	MOVQ  n+24(FP), CX
	MOVL  mask+32(FP), DX
	VPXOR Y0, Y0, Y0

row16:
	MOVL      (BX), AX
	ANDL      DX, AX
	SHLQ      $4, AX
	VPMOVSXBW (SI)(AX*1), Y4
	VPADDW    Y4, Y0, Y0
	ADDQ      $4, BX
	DECQ      CX
	JNZ       row16

	VMOVDQU Y0, (DI)
	VZEROUPPER
	RET

// largest leaves the largest of 16 signed words of Y0 in all words of Y1: XOR with
// 7fff turns it into the smallest unsigned one, which VPHMINPOSUW finds in eight.
// Y15 holds 7fff in all words.
#define LARGEST \
	VPXOR        Y15, Y0, Y1; \
	VEXTRACTI128 $1, Y1, X2; \
	VPMINUW      X2, X1, X1; \
	VPHMINPOSUW  X1, X1; \
	VPBROADCASTW X1, Y1; \
	VPXOR        Y15, Y1, Y1

// func best64AVX2(sum, floor *[64]int16) int
TEXT ·best64AVX2(SB), NOSPLIT, $0-24
	MOVQ     sum+0(FP), SI
	MOVQ     floor+8(FP), DI
	VPCMPEQW Y15, Y15, Y15
	VPSRLW   $1, Y15, Y15
	VMOVDQU  (SI), Y4
	VMOVDQU  32(SI), Y5
	VMOVDQU  64(SI), Y6
	VMOVDQU  96(SI), Y7
	VPADDSW  (DI), Y4, Y4
	VPADDSW  32(DI), Y5, Y5
	VPADDSW  64(DI), Y6, Y6
	VPADDSW  96(DI), Y7, Y7
	VPMAXSW  Y4, Y5, Y0
	VPMAXSW  Y6, Y7, Y1
	VPMAXSW  Y0, Y1, Y0
	LARGEST

	// Two bits a word of those that equal the largest, 32 words at a time.
	VPCMPEQW  Y1, Y4, Y4
	VPCMPEQW  Y1, Y5, Y5
	VPCMPEQW  Y1, Y6, Y6
	VPCMPEQW  Y1, Y7, Y7
	VPMOVMSKB Y4, AX
	VPMOVMSKB Y5, BX
	VPMOVMSKB Y6, CX
	VPMOVMSKB Y7, DX
	VZEROUPPER
	SHLQ      $32, BX
	ORQ       BX, AX
	JZ        upper
	BSFQ      AX, AX
	SHRQ      $1, AX
	MOVQ      AX, ret+16(FP)
	RET

upper:
	SHLQ $32, DX
	ORQ  DX, CX
	BSFQ CX, AX
	SHRQ $1, AX
	ADDQ $32, AX
	MOVQ AX, ret+16(FP)
	RET

// func step16AVX2(now, before, emission *[16]int16, c *Chain16)
TEXT ·step16AVX2(SB), NOSPLIT, $0-32
	MOVQ     now+0(FP), DI
	MOVQ     before+8(FP), SI
	MOVQ     emission+16(FP), BX
	MOVQ     c+24(FP), R8
	VPCMPEQW Y15, Y15, Y15
	VPSLLW   $15, Y15, Y0
	VPSRLW   $1, Y15, Y15
	VPBROADCASTW 0(SI), Y1
	VPADDSW      0(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 2(SI), Y1
	VPADDSW      32(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 4(SI), Y1
	VPADDSW      64(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 6(SI), Y1
	VPADDSW      96(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 8(SI), Y1
	VPADDSW      128(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 10(SI), Y1
	VPADDSW      160(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 12(SI), Y1
	VPADDSW      192(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 14(SI), Y1
	VPADDSW      224(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 16(SI), Y1
	VPADDSW      256(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 18(SI), Y1
	VPADDSW      288(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 20(SI), Y1
	VPADDSW      320(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 22(SI), Y1
	VPADDSW      352(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 24(SI), Y1
	VPADDSW      384(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 26(SI), Y1
	VPADDSW      416(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 28(SI), Y1
	VPADDSW      448(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPBROADCASTW 30(SI), Y1
	VPADDSW      480(R8), Y1, Y1
	VPMAXSW      Y1, Y0, Y0
	VPADDSW  (BX), Y0, Y0
	LARGEST
	VPSUBSW  Y1, Y0, Y0
	VMOVDQU  Y0, (DI)
	VZEROUPPER
	RET

// func prefetch(weights *int8, next *uint32, n int, mask uint32, shift int)
TEXT ·prefetch(SB), NOSPLIT, $0-40
	MOVQ weights+0(FP), SI
	MOVQ next+8(FP), BX
	MOVQ n+16(FP), DI
	MOVL mask+24(FP), DX
	MOVQ shift+32(FP), CX

line:
	MOVL        (BX), AX
	ANDL        DX, AX
	SHLQ        CX, AX
	PREFETCHT0  (SI)(AX*1)
	ADDQ        $4, BX
	DECQ        DI
	JNZ         line
	RET
