#include "textflag.h"

// ROWS64 adds the rows picked to Y0 to Y3, 16 sums each: a row is 64 bytes. Two rows
// are taken at a time: their bytes in turn are multiplied by 1 and added in pairs.
// Y13 holds 1 in all bytes. Bytes in turn come by eights of both halves of a register:
// Y0 has sums 0-7 and 16-23, Y1 8-15 and 24-31, Y2 and Y3 the same from 32 on.
#define ROWS64 \
	VPCMPEQB Y13, Y13, Y13; \
	VPABSB   Y13, Y13; \
	BTRQ     $0, CX; \
	JCC      pairs; \
	MOVL     (BX), AX; \
	ANDL     DX, AX; \
	SHLQ     $6, AX; \
	ADDQ     $4, BX; \
	VPXOR    Y6, Y6, Y6; \
	VMOVDQU  (SI)(AX*1), Y4; \
	VMOVDQU  32(SI)(AX*1), Y5; \
	VPUNPCKLBW Y6, Y4, Y8; \
	VPUNPCKHBW Y6, Y4, Y9; \
	VPUNPCKLBW Y6, Y5, Y10; \
	VPUNPCKHBW Y6, Y5, Y11; \
	VPMADDUBSW Y8, Y13, Y8; \
	VPMADDUBSW Y9, Y13, Y9; \
	VPMADDUBSW Y10, Y13, Y10; \
	VPMADDUBSW Y11, Y13, Y11; \
	VPADDW   Y8, Y0, Y0; \
	VPADDW   Y9, Y1, Y1; \
	VPADDW   Y10, Y2, Y2; \
	VPADDW   Y11, Y3, Y3; \
	TESTQ    CX, CX; \
	JZ       done; \
pairs: \
	MOVL     (BX), AX; \
	MOVL     4(BX), R8; \
	ANDL     DX, AX; \
	ANDL     DX, R8; \
	SHLQ     $6, AX; \
	SHLQ     $6, R8; \
	VMOVDQU  (SI)(AX*1), Y4; \
	VMOVDQU  32(SI)(AX*1), Y5; \
	VMOVDQU  (SI)(R8*1), Y6; \
	VMOVDQU  32(SI)(R8*1), Y7; \
	VPUNPCKLBW Y6, Y4, Y8; \
	VPUNPCKHBW Y6, Y4, Y9; \
	VPUNPCKLBW Y7, Y5, Y10; \
	VPUNPCKHBW Y7, Y5, Y11; \
	VPMADDUBSW Y8, Y13, Y8; \
	VPMADDUBSW Y9, Y13, Y9; \
	VPMADDUBSW Y10, Y13, Y10; \
	VPMADDUBSW Y11, Y13, Y11; \
	VPADDW   Y8, Y0, Y0; \
	VPADDW   Y9, Y1, Y1; \
	VPADDW   Y10, Y2, Y2; \
	VPADDW   Y11, Y3, Y3; \
	ADDQ     $8, BX; \
	SUBQ     $2, CX; \
	JNZ      pairs; \
done:

// IN_ORDER64 brings the sums of ROWS64 back into order, into Y4 to Y7: the lower halves
// of both, then the upper ones.
#define IN_ORDER64 \
	VPERM2I128 $0x20, Y1, Y0, Y4; \
	VPERM2I128 $0x31, Y1, Y0, Y5; \
	VPERM2I128 $0x20, Y3, Y2, Y6; \
	VPERM2I128 $0x31, Y3, Y2, Y7

// func sum64AVX2(sum *[64]int16, weights *int8, picked *uint32, n int, mask uint32)
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
	ROWS64
	IN_ORDER64
	VMOVDQU Y4, (DI)
	VMOVDQU Y5, 32(DI)
	VMOVDQU Y6, 64(DI)
	VMOVDQU Y7, 96(DI)
	VZEROUPPER
	RET

// func add64AVX2(sum *[64]int16, weights *int8, picked *uint32, n int, mask uint32)
TEXT ·add64AVX2(SB), NOSPLIT, $0-36
	MOVQ  sum+0(FP), DI
	MOVQ  weights+8(FP), SI
	MOVQ  picked+16(FP), BX
	MOVQ  n+24(FP), CX
	MOVL  mask+32(FP), DX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	ROWS64
	IN_ORDER64
	VPADDW  (DI), Y4, Y4
	VPADDW  32(DI), Y5, Y5
	VPADDW  64(DI), Y6, Y6
	VPADDW  96(DI), Y7, Y7
	VMOVDQU Y4, (DI)
	VMOVDQU Y5, 32(DI)
	VMOVDQU Y6, 64(DI)
	VMOVDQU Y7, 96(DI)
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
