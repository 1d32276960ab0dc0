# Runs cases of kernels on a bare processor: a Multiboot kernel (GNU as), one flat file with
# the cases that emulated_amd64_test.go writes. What it finds goes to port 0xE9, which
# Bochs prints. The processor's way to 64 bits and to AVX-512 is that of Intel's manual,
# volume 3, 10.8.5 and 13.
.set cases, 0x200000 # where the cases lie, as blob.base says

.code32
start:
	.long 0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000)
	.long start, start, 0, 0, begin
begin:
	cli
	mov $stack_top, %esp
	# The first 4 GiB one to one, in pages of 2 MiB.
	mov $tables, %edi
	xor %eax, %eax
	mov $(6 * 1024), %ecx
	rep stosl
	movl $(tables + 0x1003), tables
	mov $4, %ecx
	mov $(tables + 0x2003), %eax
	mov $(tables + 0x1000), %edi
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 1b
	mov $2048, %ecx
	mov $0x83, %eax
	mov $(tables + 0x2000), %edi
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	mov $tables, %eax
	mov %eax, %cr3
	mov $0x40620, %eax # PAE, SSE, its exceptions, XSAVE
	mov %eax, %cr4
	mov $0xC0000080, %ecx # EFER: long mode
	rdmsr
	or $0x100, %eax
	wrmsr
	mov $0x80000013, %eax # paging, protection, no emulated coprocessor
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $long

.code64
long:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $idt, %edi # all 32 exceptions
	mov $32, %ecx
1:	movl $0x80000, (%rdi)
	mov $fault, %eax
	movw %ax, (%rdi)
	movl $0x00108E00, 4(%rdi)
	add $16, %rdi
	loop 1b
	lidt idt_pointer
	mov $7, %eax # leaf 7: AVX-512 F and BW and VL, VNNI
	xor %ecx, %ecx
	cpuid
	mov %ebx, %r12d
	mov %ecx, %r13d
	mov $'7', %al
	out %al, $0xE9
	mov %r12, %rdi
	call hex
	mov %r13, %rdi
	call hex
	call newline
	xor %ecx, %ecx
	mov $0xE7, %eax # x87, SSE, AVX, masks and registers of 512 bits
	bt $16, %r12d
	jc 1f
	mov $7, %eax
1:	xor %edx, %edx
	xsetbv
	# Go's prologue looks for the end of the stack in what -8(FS) points to.
	mov $0xC0000100, %ecx
	mov $(fs_base), %eax
	xor %edx, %edx
	wrmsr

	mov $cases, %r15
	mov (%r15), %r14 # how many
	add $8, %r15
	mov %r14, all
next:
	test %r14, %r14
	jz done
	sub $128, %rsp
	mov %r15, %rsi
	add $16, %rsi
	mov %rsp, %rdi
	mov $8, %ecx
	rep movsq
	mov %r14, left
	mov %r15, at
	rdtsc
	mov %eax, began
	call *(%r15)
	rdtsc
	mov left, %r14
	mov at, %r15
	sub began, %eax
	add %eax, 8(%r15)
	add $128, %rsp
	mov 80(%r15), %rsi
	mov 88(%r15), %rdi
	mov 96(%r15), %rcx
	repe cmpsb
	je 1f
	incq wrong
	mov $'W', %al
	out %al, $0xE9
	mov all, %rdi
	sub %r14, %rdi
	call hex
	call newline
1:	# instructions, by number of the case
	mov $'I', %al
	out %al, $0xE9
	mov all, %rdi
	sub %r14, %rdi
	call hex
	mov 8(%r15), %rdi
	call hex
	call newline
	add $104, %r15
	dec %r14
	jmp next
done:
	mov $'D', %al
	out %al, $0xE9
	mov all, %rdi
	call hex
	mov wrong, %rdi
	call hex
	call newline
stop:
	mov $0x8900, %dx # Bochs' way off
	mov $word, %rsi
	mov $8, %ecx
	rep outsb
	hlt
	jmp stop

fault:
	mov $'F', %al
	out %al, $0xE9
	mov (%rsp), %rdi
	call hex
	mov 8(%rsp), %rdi
	call hex
	mov all, %rdi
	sub left, %rdi
	call hex
	call newline
	jmp stop

hex:	# RDI, 8 digits, after a space
	mov $' ', %al
	out %al, $0xE9
	mov $8, %ecx
1:	rol $4, %edi
	mov %edi, %eax
	and $15, %eax
	mov digits(%rax), %al
	out %al, $0xE9
	loop 1b
	ret
newline:
	mov $10, %al
	out %al, $0xE9
	ret

word:	.ascii "Shutdown"
digits:	.ascii "0123456789abcdef"
.align 16
gdt:	.quad 0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.quad gdt
.align 16
idt:	.fill 64, 8, 0
idt_pointer:
	.word idt_pointer - idt - 1
	.quad idt
.align 16
all:	.quad 0
wrong:	.quad 0
left:	.quad 0
at:	.quad 0
began:	.quad 0
g:	.fill 64, 8, 0
	.quad g
fs_base:
	.quad 0
.set tables, 0x110000
.set stack_top, 0x180000
.org 0x100000 # up to the cases
