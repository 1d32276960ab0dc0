#include "textflag.h"

// func lines(table unsafe.Pointer, places *uint32, n int, mask uint32, size int)
TEXT ·lines(SB), NOSPLIT, $0-40
	MOVQ table+0(FP), SI
	MOVQ places+8(FP), BX
	MOVQ n+16(FP), DI
	MOVL mask+24(FP), DX
	MOVQ size+32(FP), CX

line:
	MOVL       (BX), AX
	ANDL       DX, AX
	IMULQ      CX, AX
	PREFETCHT0 (SI)(AX*1)
	ADDQ       $4, BX
	DECQ       DI
	JNZ        line
	RET
