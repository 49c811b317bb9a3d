/* SPDX-License-Identifier: MIT */
/*
 * Instruction forms for F2, each with the accesses it makes: FORM(text, model).
 * A model is words like L4b8: kind (L load, S store, M load and store of a
 * read-modify-write), bytes, base (b rbx, s rsi, d rdi) and offset; it begins
 * with "avx " if the form needs AVX2. rbx, rsi and rdi point into the memory,
 * rcx is 5, r14 is free, r15 is not. Families first; no include guard: this is
 * a list, to be included once.
 */

#define SIZES_TO(op, k)                                                        \
	FORM(op "b %cl, (%rbx)", k "1b0")                                      \
	FORM(op "w %cx, 2(%rbx)", k "2b2")                                     \
	FORM(op "l %ecx, 4(%rbx)", k "4b4")                                    \
	FORM(op "q %rcx, 9(%rbx)", k "8b9")
#define SIZES_FROM(op)                                                         \
	FORM(op "b (%rbx), %cl", "L1b0")                                       \
	FORM(op "w 2(%rbx), %cx", "L2b2")                                      \
	FORM(op "l 5(%rbx), %ecx", "L4b5")                                     \
	FORM(op "q 8(%rbx), %rcx", "L8b8")
#define SIZES_IMM(op, k)                                                       \
	FORM(op "b $0x35, (%rbx)", k "1b0")                                    \
	FORM(op "w $0x1234, 2(%rbx)", k "2b2")                                 \
	FORM(op "l $0x12345678, 4(%rbx)", k "4b4")                             \
	FORM(op "q $-7, 8(%rbx)", k "8b8")
#define SIZES_ONE(op, k)                                                       \
	FORM(op "b (%rbx)", k "1b0")                                           \
	FORM(op "w 2(%rbx)", k "2b2")                                          \
	FORM(op "l 4(%rbx)", k "4b4")                                          \
	FORM(op "q 8(%rbx)", k "8b8")
#define SHIFT(op)                                                              \
	FORM(op "b %cl, (%rbx)", "M1b0")                                       \
	FORM(op "w %cl, 2(%rbx)", "M2b2")                                      \
	FORM(op "l %cl, 4(%rbx)", "M4b4")                                      \
	FORM(op "q %cl, 8(%rbx)", "M8b8")                                      \
	FORM(op "b $1, (%rbx)", "M1b0")                                        \
	FORM(op "w $3, 2(%rbx)", "M2b2")                                       \
	FORM(op "l $3, 4(%rbx)", "M4b4")                                       \
	FORM(op "q $3, 8(%rbx)", "M8b8")
#define ALU(op)                                                                \
	SIZES_TO(op, "M") SIZES_FROM(op) SIZES_IMM(op, "M")                    \
	SIZES_TO("lock " op, "M")

ALU("add") ALU("or") ALU("adc") ALU("sbb") ALU("and") ALU("sub") ALU("xor")
SIZES_TO("cmp", "L") SIZES_FROM("cmp") SIZES_IMM("cmp", "L")
SIZES_TO("test", "L") SIZES_IMM("test", "L")
SIZES_ONE("inc", "M") SIZES_ONE("dec", "M") SIZES_ONE("not", "M")
SIZES_ONE("neg", "M") SIZES_ONE("lock inc", "M") SIZES_ONE("lock dec", "M")
SIZES_ONE("lock not", "M") SIZES_ONE("lock neg", "M")
SIZES_ONE("mul", "L") SIZES_ONE("imul", "L")
FORM("imulw 2(%rbx), %dx", "L2b2")
FORM("imull 4(%rbx), %edx", "L4b4")
FORM("imulq $-9, 8(%rbx), %rdx", "L8b8")
SHIFT("rol") SHIFT("ror") SHIFT("rcl") SHIFT("rcr") SHIFT("shl") SHIFT("shr")
SHIFT("sar")
FORM("shldq $7, %rdx, 8(%rbx)", "M8b8")
FORM("shrdl %cl, %edx, 4(%rbx)", "M4b4")

#define BITS(op, k)                                                            \
	FORM(op "w $9, 2(%rbx)", k "2b2")                                      \
	FORM(op "l $9, 4(%rbx)", k "4b4")                                      \
	FORM(op "q $41, 8(%rbx)", k "8b8")                                     \
	FORM(op "w %cx, 2(%rbx)", k "2b2")                                     \
	FORM(op "l %ecx, 4(%rbx)", k "4b4")                                    \
	FORM(op "q %rcx, 8(%rbx)", k "8b8")
BITS("bt", "L") BITS("bts", "M") BITS("btr", "M") BITS("btc", "M")
BITS("lock bts", "M") BITS("lock btr", "M") BITS("lock btc", "M")
FORM("mov $200, %rcx; btsq %rcx, (%rbx)", "M8b24")
FORM("mov $-3, %rcx; btl %ecx, (%rbx)", "L4b-4")

SIZES_TO("xchg", "M") SIZES_TO("xadd", "M") SIZES_TO("lock xadd", "M")
SIZES_TO("cmpxchg", "M") SIZES_TO("lock cmpxchg", "M")
FORM("cmpxchg8b 8(%rbx)", "M8b8")
FORM("lock cmpxchg8b 8(%rbx)", "M8b8")
FORM("push %rbx; mov %rbx, %r14; mov $77, %ebx; lock cmpxchg16b (%r14); "
	"pop %rbx", "M16b0")

SIZES_TO("mov", "S") SIZES_FROM("mov") SIZES_IMM("mov", "S")
FORM("movzbw (%rbx), %ax", "L1b0")
FORM("movzbl (%rbx), %eax", "L1b0")
FORM("movzbq 1(%rbx), %rax", "L1b1")
FORM("movzwl (%rbx), %eax", "L2b0")
FORM("movzwq 3(%rbx), %rax", "L2b3")
FORM("movsbw (%rbx), %ax", "L1b0")
FORM("movsbl (%rbx), %eax", "L1b0")
FORM("movsbq (%rbx), %rax", "L1b0")
FORM("movswl (%rbx), %eax", "L2b0")
FORM("movswq (%rbx), %rax", "L2b0")
FORM("movslq (%rbx), %rax", "L4b0")
FORM("movnti %ecx, (%rbx)", "S4b0")
FORM("movnti %rcx, 8(%rbx)", "S8b8")
FORM("mov (%rbx,%rcx,8), %rax", "L8b40")
FORM("mov %ah, 3(%rbx,%rcx,4)", "S1b23")
FORM("lea -64(%rbx), %rbx; mov 64(%rbx), %eax; lea 64(%rbx), %rbx", "L4b0")

#define CONDITION(c)                                                           \
	FORM("cmov" c " 4(%rbx), %eax", "L4b4")                                \
	FORM("cmov" c " 8(%rbx), %rax", "L8b8")                                \
	FORM("set" c " 7(%rbx)", "S1b7")
CONDITION("o") CONDITION("no") CONDITION("b") CONDITION("ae") CONDITION("e")
CONDITION("ne") CONDITION("be") CONDITION("a") CONDITION("s") CONDITION("ns")
CONDITION("p") CONDITION("np") CONDITION("l") CONDITION("ge") CONDITION("le")
CONDITION("g")

/* The stack is elsewhere, then here. */
FORM("push 8(%rbx); pop %rax", "L8b8")
FORM("push %rcx; pop 16(%rbx)", "S8b16")
FORM("pushw 8(%rbx); popw %ax", "L2b8")
#define STACK(text, model)                                                     \
	FORM("mov %rsp, %r14; lea 64(%rbx), %rsp; " text "; mov %r14, %rsp",   \
		model)
STACK("push %rcx", "S8b56")
STACK("push $0x1234", "S8b56")
STACK("push %rcx; pop %rdx", "S8b56 L8b56")
STACK("push (%rbx)", "L8b0 S8b56")
STACK("pop (%rbx)", "L8b64 S8b0")
STACK("pushfq; popfq", "S8b56 L8b56")
STACK("call 7f; 7: pop %rax; sub %rax, %rax", "S8b56 L8b56")
STACK("call 7f; jmp 8f; 7: ret; 8: nop; movq $0, 56(%rbx)",
	"S8b56 L8b56 S8b56")
STACK("push %rbp; mov %rsp, %rbp; enter $16, $0; leave; pop %rbp; "
	"movq $0, 48(%rbx); movq $0, 56(%rbx)",
	"S8b56 S8b48 L8b48 L8b56 S8b48 S8b56")

FORM("movsb", "L1s0 S1d0")
FORM("movsw", "L2s0 S2d0")
FORM("movsl", "L4s0 S4d0")
FORM("movsq", "L8s0 S8d0")
FORM("stosb", "S1d0")
FORM("stosw", "S2d0")
FORM("stosl", "S4d0")
FORM("stosq", "S8d0")
FORM("lodsb", "L1s0")
FORM("lodsw", "L2s0")
FORM("lodsl", "L4s0")
FORM("lodsq", "L8s0")
FORM("scasb", "L1d0")
FORM("scasl", "L4d0")
FORM("scasq", "L8d0")
FORM("mov $3, %ecx; rep movsb", "L1s0 S1d0 L1s1 S1d1 L1s2 S1d2")
FORM("mov $2, %ecx; rep movsq", "L8s0 S8d0 L8s8 S8d8")
FORM("mov $3, %ecx; rep stosl", "S4d0 S4d4 S4d8")
FORM("mov $2, %ecx; rep lodsw", "L2s0 L2s2")
FORM("std; mov $2, %ecx; rep movsl; cld", "L4s0 S4d0 L4s-4 S4d-4")
FORM("xor %ecx, %ecx; rep movsb", "")
FORM("lea 700(%rip), %r14; mov $255, %al; movb $255, (%rdi); mov $3, %ecx; "
	"repne scasb", "S1d0 L1d0")

#define VECTOR_LOAD(op, n) FORM(op " (%rbx), %xmm0", "L" n "b0")
#define VECTOR_STORE(op, n) FORM(op " %xmm1, 16(%rbx)", "S" n "b16")
VECTOR_LOAD("movups", "16") VECTOR_STORE("movups", "16")
VECTOR_LOAD("movaps", "16") VECTOR_STORE("movaps", "16")
VECTOR_LOAD("movupd", "16") VECTOR_STORE("movupd", "16")
VECTOR_LOAD("movdqu", "16") VECTOR_STORE("movdqu", "16")
VECTOR_LOAD("movdqa", "16") VECTOR_STORE("movdqa", "16")
VECTOR_LOAD("lddqu", "16")
VECTOR_LOAD("movq", "8") VECTOR_STORE("movq", "8")
VECTOR_LOAD("movd", "4") VECTOR_STORE("movd", "4")
VECTOR_LOAD("movss", "4") VECTOR_STORE("movss", "4")
VECTOR_LOAD("movsd", "8") VECTOR_STORE("movsd", "8")
VECTOR_LOAD("movlps", "8") VECTOR_STORE("movlps", "8")
VECTOR_LOAD("movhps", "8") VECTOR_STORE("movhps", "8")
VECTOR_LOAD("movlpd", "8") VECTOR_STORE("movlpd", "8")
VECTOR_LOAD("movhpd", "8") VECTOR_STORE("movhpd", "8")
VECTOR_STORE("movntps", "16") VECTOR_STORE("movntdq", "16")
VECTOR_LOAD("addps", "16") VECTOR_LOAD("subps", "16")
VECTOR_LOAD("mulps", "16") VECTOR_LOAD("minps", "16")
VECTOR_LOAD("maxps", "16") VECTOR_LOAD("andps", "16")
VECTOR_LOAD("orps", "16") VECTOR_LOAD("xorps", "16")
VECTOR_LOAD("addss", "4") VECTOR_LOAD("mulss", "4")
VECTOR_LOAD("addsd", "8") VECTOR_LOAD("mulsd", "8")
VECTOR_LOAD("subsd", "8") VECTOR_LOAD("comisd", "8")
VECTOR_LOAD("comiss", "4") VECTOR_LOAD("cvtsi2sdl", "4")
VECTOR_LOAD("cvtsi2sdq", "8") VECTOR_LOAD("cvtss2sd", "4")
VECTOR_LOAD("cvtsd2ss", "8") VECTOR_LOAD("cvtdq2ps", "16")
FORM("cvttsd2siq (%rbx), %rax", "L8b0")
FORM("cvttss2sil (%rbx), %eax", "L4b0")
VECTOR_LOAD("paddb", "16") VECTOR_LOAD("paddw", "16")
VECTOR_LOAD("paddd", "16") VECTOR_LOAD("paddq", "16")
VECTOR_LOAD("psubb", "16") VECTOR_LOAD("psubw", "16")
VECTOR_LOAD("psubd", "16") VECTOR_LOAD("psubq", "16")
VECTOR_LOAD("pmullw", "16") VECTOR_LOAD("pmulhw", "16")
VECTOR_LOAD("pmuludq", "16") VECTOR_LOAD("pmaddwd", "16")
VECTOR_LOAD("pand", "16") VECTOR_LOAD("pandn", "16")
VECTOR_LOAD("por", "16") VECTOR_LOAD("pxor", "16")
VECTOR_LOAD("pcmpeqb", "16") VECTOR_LOAD("pcmpgtd", "16")
VECTOR_LOAD("pminub", "16") VECTOR_LOAD("pmaxub", "16")
VECTOR_LOAD("pavgb", "16") VECTOR_LOAD("psadbw", "16")
VECTOR_LOAD("punpcklbw", "16") VECTOR_LOAD("punpckhdq", "16")
VECTOR_LOAD("packuswb", "16") VECTOR_LOAD("pshufb", "16")
FORM("pshufd $0x1b, (%rbx), %xmm0", "L16b0")
FORM("pinsrw $3, 2(%rbx), %xmm0", "L2b2")
FORM("pinsrb $3, 3(%rbx), %xmm0", "L1b3")
FORM("pextrw $2, %xmm1, 2(%rbx)", "S2b2")
FORM("ptest (%rbx), %xmm1", "L16b0")
FORM("stmxcsr 4(%rbx)", "S4b4")

#define YMM_LOAD(op) FORM(op " (%rbx), %ymm1, %ymm0", "avx L32b0")
FORM("vmovups (%rbx), %ymm0", "avx L32b0")
FORM("vmovups %ymm1, 7(%rbx)", "avx S32b7")
FORM("vmovdqu 5(%rbx), %ymm0", "avx L32b5")
FORM("vmovdqa %ymm1, 32(%rbx)", "avx S32b32")
FORM("vmovups (%rbx), %xmm0", "avx L16b0")
FORM("vbroadcastss (%rbx), %ymm0", "avx L4b0")
FORM("vbroadcastsd 8(%rbx), %ymm0", "avx L8b8")
FORM("vextractf128 $1, %ymm1, (%rbx)", "avx S16b0")
FORM("vpmovzxbw (%rbx), %ymm0", "avx L16b0")
YMM_LOAD("vaddps") YMM_LOAD("vmulpd") YMM_LOAD("vandps") YMM_LOAD("vpaddd")
YMM_LOAD("vpaddb") YMM_LOAD("vpxor") YMM_LOAD("vpcmpeqd") YMM_LOAD("vpshufb")
YMM_LOAD("vpmuludq") YMM_LOAD("vminps")
