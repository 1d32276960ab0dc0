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
