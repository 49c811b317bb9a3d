/* SPDX-License-Identifier: MIT */
/*
 * Executes common instruction forms twice, on memory that a test keeps and on
 * memory that it does not, from the same registers and bytes: everything must
 * come out the same. Prints how many did, and which did not.
 */
#include <cpuid.h>
#include <custos/guest.h>

#define SIZE 1024

PAGE_ALIGNED uint64_t kept[512];
static PAGE_ALIGNED uint64_t plain[512];

/* The offsets are in RUN. */
struct registers {
	uint64_t rax, rcx, rdx, rsi, rdi, flags;
	uint8_t xmm[2][64];
};

/*
 * rbx is the middle of the memory, rsi and rdi lie in it, r9 is free. Vector
 * registers are xmm0 and xmm1, or what encloses them.
 */
#define RUN(load, store, text)                                                 \
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t" /* red zone */         \
			 load "pushq 40(%%r8)\n\tpopfq\n\t"                   \
			      "movq 0(%%r8), %%rax\n\tmovq 8(%%r8), %%rcx\n\t" \
			      "movq 16(%%r8), %%rdx\n\t"                       \
			      "movq 24(%%r8), %%rsi\n\t"                       \
			      "movq 32(%%r8), %%rdi\n\t" text "\n\t"           \
			      "movq %%rax, 0(%%r8)\n\tmovq %%rcx, 8(%%r8)\n\t" \
			      "movq %%rdx, 16(%%r8)\n\t"                       \
			      "movq %%rsi, 24(%%r8)\n\t"                       \
			      "movq %%rdi, 32(%%r8)\n\t"                       \
			      "pushfq\n\tpopq 40(%%r8)\n\tcld\n\t" store       \
			      "leaq 128(%%rsp), %%rsp"                         \
			 :                                                     \
			 : "b"(middle), "r"(r8)                                \
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r9", "memory",  \
			 "cc", "xmm0", "xmm1", "xmm2")

#define LOAD_XMM "movups 48(%%r8), %%xmm0\n\tmovups 112(%%r8), %%xmm1\n\t"
#define STORE_XMM "movups %%xmm0, 48(%%r8)\n\tmovups %%xmm1, 112(%%r8)\n\t"
#define LOAD_YMM "vmovups 48(%%r8), %%ymm0\n\tvmovups 112(%%r8), %%ymm1\n\t"
#define STORE_YMM                                                              \
	"vmovups %%ymm0, 48(%%r8)\n\tvmovups %%ymm1, 112(%%r8)\n\t"            \
	"vzeroupper\n\t"
#define LOAD_ZMM                                                               \
	"vmovups 48(%%r8), %%zmm0\n\tvmovups 112(%%r8), %%zmm1\n\t"            \
	"movl $0x5a3c, %%eax\n\tkmovw %%eax, %%k1\n\t"
#define STORE_ZMM                                                              \
	"vmovups %%zmm0, 48(%%r8)\n\tvmovups %%zmm1, 112(%%r8)\n\t"            \
	"vzeroupper\n\t"

#define FORM(name, load, store, text)                                          \
	static void name(uint8_t *middle, struct registers *registers)         \
	{                                                                      \
		register struct registers *r8 __asm__("r8") = registers;       \
		RUN(load, store, text);                                        \
	}

FORM(form_0, LOAD_XMM, STORE_XMM,
	"movq (%%rbx), %%rax")
FORM(form_1, LOAD_XMM, STORE_XMM,
	"movl %%eax, (%%rbx)")
FORM(form_2, LOAD_XMM, STORE_XMM,
	"movb %%ah, 3(%%rbx)")
FORM(form_3, LOAD_XMM, STORE_XMM,
	"movw $0x1234, 5(%%rbx)")
FORM(form_4, LOAD_XMM, STORE_XMM,
	"movzbl (%%rbx), %%eax")
FORM(form_5, LOAD_XMM, STORE_XMM,
	"movsbq 1(%%rbx), %%rdx")
FORM(form_6, LOAD_XMM, STORE_XMM,
	"movslq (%%rbx), %%rcx")
FORM(form_7, LOAD_XMM, STORE_XMM,
	"addq %%rax, (%%rbx)")
FORM(form_8, LOAD_XMM, STORE_XMM,
	"addb (%%rbx), %%cl")
FORM(form_9, LOAD_XMM, STORE_XMM,
	"adcl %%edx, 4(%%rbx)")
FORM(form_10, LOAD_XMM, STORE_XMM,
	"sbbq (%%rbx), %%rax")
FORM(form_11, LOAD_XMM, STORE_XMM,
	"subw $7, (%%rbx)")
FORM(form_12, LOAD_XMM, STORE_XMM,
	"andq %%rcx, (%%rbx)")
FORM(form_13, LOAD_XMM, STORE_XMM,
	"orb $0x81, (%%rbx)")
FORM(form_14, LOAD_XMM, STORE_XMM,
	"xorl (%%rbx), %%eax")
FORM(form_15, LOAD_XMM, STORE_XMM,
	"cmpq %%rax, (%%rbx)")
FORM(form_16, LOAD_XMM, STORE_XMM,
	"testb $0x10, (%%rbx)")
FORM(form_17, LOAD_XMM, STORE_XMM,
	"incq (%%rbx)")
FORM(form_18, LOAD_XMM, STORE_XMM,
	"decb (%%rbx)")
FORM(form_19, LOAD_XMM, STORE_XMM,
	"negl (%%rbx)")
FORM(form_20, LOAD_XMM, STORE_XMM,
	"notq (%%rbx)")
FORM(form_21, LOAD_XMM, STORE_XMM,
	"shlq $3, (%%rbx)")
FORM(form_22, LOAD_XMM, STORE_XMM,
	"sarl %%cl, (%%rbx)")
FORM(form_23, LOAD_XMM, STORE_XMM,
	"rorb $1, (%%rbx)")
FORM(form_24, LOAD_XMM, STORE_XMM,
	"rclw $2, (%%rbx)")
FORM(form_25, LOAD_XMM, STORE_XMM,
	"shldq $5, %%rax, (%%rbx)")
FORM(form_26, LOAD_XMM, STORE_XMM,
	"shrdl %%cl, %%eax, (%%rbx)")
FORM(form_27, LOAD_XMM, STORE_XMM,
	"btl $7, (%%rbx)")
FORM(form_28, LOAD_XMM, STORE_XMM,
	"btsq $40, (%%rbx)")
FORM(form_29, LOAD_XMM, STORE_XMM,
	"movq $-777, %%rcx\n\tbtsq %%rcx, (%%rbx)")
FORM(form_30, LOAD_XMM, STORE_XMM,
	"movl $900, %%ecx\n\tbtcl %%ecx, (%%rbx)")
FORM(form_31, LOAD_XMM, STORE_XMM,
	"bsfq (%%rbx), %%rax")
FORM(form_32, LOAD_XMM, STORE_XMM,
	"imulq (%%rbx), %%rax")
FORM(form_33, LOAD_XMM, STORE_XMM,
	"mull (%%rbx)")
FORM(form_34, LOAD_XMM, STORE_XMM,
	"xorl %%edx, %%edx\n\tmovl $3, (%%rbx)\n\tdivl (%%rbx)")
FORM(form_35, LOAD_XMM, STORE_XMM,
	"setc (%%rbx)")
FORM(form_36, LOAD_XMM, STORE_XMM,
	"cmovzq (%%rbx), %%rax")
FORM(form_37, LOAD_XMM, STORE_XMM,
	"xchgq %%rax, (%%rbx)")
FORM(form_38, LOAD_XMM, STORE_XMM,
	"lock xaddl %%ecx, (%%rbx)")
FORM(form_39, LOAD_XMM, STORE_XMM,
	"lock cmpxchgq %%rcx, (%%rbx)")
FORM(form_40, LOAD_XMM, STORE_XMM,
	"movq (%%rbx), %%rax\n\tlock cmpxchgq %%rcx, (%%rbx)")
FORM(form_41, LOAD_XMM, STORE_XMM,
	"lock incl (%%rbx)")
FORM(form_42, LOAD_XMM, STORE_XMM,
	"lock cmpxchg8b (%%rbx)")
FORM(form_43, LOAD_XMM, STORE_XMM,
	"movbeq (%%rbx), %%rax")
FORM(form_44, LOAD_XMM, STORE_XMM,
	"popcntq (%%rbx), %%rcx")
FORM(form_45, LOAD_XMM, STORE_XMM,
	"crc32q (%%rbx), %%rax")
FORM(form_46, LOAD_XMM, STORE_XMM,
	"movnti %%rax, (%%rbx)")
FORM(form_47, LOAD_XMM, STORE_XMM,
	"movsb")
FORM(form_48, LOAD_XMM, STORE_XMM,
	"movsq")
FORM(form_49, LOAD_XMM, STORE_XMM,
	"stosl")
FORM(form_50, LOAD_XMM, STORE_XMM,
	"lodsw")
FORM(form_51, LOAD_XMM, STORE_XMM,
	"scasb")
FORM(form_52, LOAD_XMM, STORE_XMM,
	"cmpsq")
FORM(form_53, LOAD_XMM, STORE_XMM,
	"movl $9, %%ecx\n\trep movsb")
FORM(form_54, LOAD_XMM, STORE_XMM,
	"movl $5, %%ecx\n\trep stosq")
FORM(form_55, LOAD_XMM, STORE_XMM,
	"movl $20, %%ecx\n\trepne scasb")
FORM(form_56, LOAD_XMM, STORE_XMM,
	"movl $8, %%ecx\n\trepe cmpsw")
FORM(form_57, LOAD_XMM, STORE_XMM,
	"std\n\tmovl $4, %%ecx\n\trep movsl")
FORM(form_58, LOAD_XMM, STORE_XMM,
	"movq %%rsp, %%r9\n\tleaq 64(%%rbx), %%rsp\n\t"
	"pushq %%rax\n\tpushq (%%rbx)\n\tpopq 8(%%rbx)\n\t"
	"popq %%rcx\n\tmovq %%r9, %%rsp")
FORM(form_59, LOAD_XMM, STORE_XMM,
	"movq %%rsp, %%r9\n\tleaq 64(%%rbx), %%rsp\n\t"
	"call 1f\n\tjmp 2f\n1:\taddq $1, %%rax\n\tret\n2:\t"
	"movq %%r9, %%rsp\n\tmovq $0, 56(%%rbx)")
FORM(form_60, LOAD_XMM, STORE_XMM,
	"leaq 1f(%%rip), %%rax\n\tmovq %%rax, (%%rbx)\n\t"
	"jmp *(%%rbx)\n\tnop\n1:\tmovq $0, (%%rbx)\n\t"
	"xorl %%eax, %%eax")
FORM(form_61, LOAD_XMM, STORE_XMM,
	"fldl (%%rbx)\n\tfstpt 16(%%rbx)")
FORM(form_62, LOAD_XMM, STORE_XMM,
	"fildq (%%rbx)\n\tfistpll 8(%%rbx)")
FORM(form_63, LOAD_XMM, STORE_XMM,
	"flds (%%rbx)\n\tfmuls 4(%%rbx)\n\tfstps 8(%%rbx)")
FORM(form_64, LOAD_XMM, STORE_XMM,
	"fnstcw (%%rbx)")
FORM(form_65, LOAD_XMM, STORE_XMM,
	"movaps (%%rbx), %%xmm0")
FORM(form_66, LOAD_XMM, STORE_XMM,
	"movups %%xmm1, 3(%%rbx)")
FORM(form_67, LOAD_XMM, STORE_XMM,
	"movss (%%rbx), %%xmm0")
FORM(form_68, LOAD_XMM, STORE_XMM,
	"movsd %%xmm0, 8(%%rbx)")
FORM(form_69, LOAD_XMM, STORE_XMM,
	"movlps (%%rbx), %%xmm1")
FORM(form_70, LOAD_XMM, STORE_XMM,
	"movhpd %%xmm1, (%%rbx)")
FORM(form_71, LOAD_XMM, STORE_XMM,
	"addps (%%rbx), %%xmm0")
FORM(form_72, LOAD_XMM, STORE_XMM,
	"mulsd (%%rbx), %%xmm1")
FORM(form_73, LOAD_XMM, STORE_XMM,
	"cvtsi2sdq (%%rbx), %%xmm0")
FORM(form_74, LOAD_XMM, STORE_XMM,
	"cvttsd2siq (%%rbx), %%rax")
FORM(form_75, LOAD_XMM, STORE_XMM,
	"comisd (%%rbx), %%xmm0")
FORM(form_76, LOAD_XMM, STORE_XMM,
	"pxor (%%rbx), %%xmm0")
FORM(form_77, LOAD_XMM, STORE_XMM,
	"paddd (%%rbx), %%xmm1")
FORM(form_78, LOAD_XMM, STORE_XMM,
	"pshufb (%%rbx), %%xmm0")
FORM(form_79, LOAD_XMM, STORE_XMM,
	"punpcklbw (%%rbx), %%xmm0")
FORM(form_80, LOAD_XMM, STORE_XMM,
	"movdqa %%xmm0, 32(%%rbx)")
FORM(form_81, LOAD_XMM, STORE_XMM,
	"movntdq %%xmm1, (%%rbx)")
FORM(form_82, LOAD_XMM, STORE_XMM,
	"movq %%xmm0, (%%rbx)")
FORM(form_83, LOAD_XMM, STORE_XMM,
	"movd (%%rbx), %%xmm1")
FORM(form_84, LOAD_XMM, STORE_XMM,
	"pinsrb $3, (%%rbx), %%xmm0")
FORM(form_85, LOAD_XMM, STORE_XMM,
	"pextrw $2, %%xmm1, (%%rbx)")
FORM(form_86, LOAD_XMM, STORE_XMM,
	"movmskps %%xmm0, %%eax\n\tptest (%%rbx), %%xmm0")
FORM(form_87, LOAD_XMM, STORE_XMM,
	"lddqu 5(%%rbx), %%xmm0")
FORM(form_88, LOAD_XMM, STORE_XMM,
	"stmxcsr (%%rbx)")
FORM(form_89, LOAD_XMM, STORE_XMM,
	"maskmovdqu %%xmm1, %%xmm0")
FORM(form_90, LOAD_YMM, STORE_YMM,
	"vmovups (%%rbx), %%ymm0")
FORM(form_91, LOAD_YMM, STORE_YMM,
	"vmovdqu %%ymm1, 7(%%rbx)")
FORM(form_92, LOAD_YMM, STORE_YMM,
	"vaddps (%%rbx), %%ymm1, %%ymm0")
FORM(form_93, LOAD_YMM, STORE_YMM,
	"vbroadcastss (%%rbx), %%ymm0")
FORM(form_94, LOAD_YMM, STORE_YMM,
	"vmaskmovps (%%rbx), %%ymm1, %%ymm0")
FORM(form_95, LOAD_YMM, STORE_YMM,
	"vmaskmovps %%ymm0, %%ymm1, (%%rbx)")
FORM(form_96, LOAD_YMM, STORE_YMM,
	"vpaddd (%%rbx), %%ymm0, %%ymm1")
FORM(form_97, LOAD_YMM, STORE_YMM,
	"vextractf128 $1, %%ymm0, (%%rbx)")
FORM(form_98, LOAD_YMM, STORE_YMM,
	"vpmovzxbw (%%rbx), %%ymm0")
FORM(form_99, LOAD_YMM, STORE_YMM,
	"vpcmpeqd %%ymm2, %%ymm2, %%ymm2\n\t"
	"vpslld $26, %%ymm1, %%ymm1\n\t"
	"vpsrad $26, %%ymm1, %%ymm1\n\t"
	"vpgatherdd %%ymm2, (%%rbx,%%ymm1,4), %%ymm0")
FORM(form_100, LOAD_ZMM, STORE_ZMM,
	"vmovups (%%rbx), %%zmm0")
FORM(form_101, LOAD_ZMM, STORE_ZMM,
	"vmovdqu32 %%zmm1, (%%rbx)%{%%k1%}")
FORM(form_102, LOAD_ZMM, STORE_ZMM,
	"vmovdqu32 (%%rbx), %%zmm0%{%%k1%}%{z%}")
FORM(form_103, LOAD_ZMM, STORE_ZMM,
	"vaddps (%%rbx)%{1to16%}, %%zmm1, %%zmm0")
FORM(form_104, LOAD_ZMM, STORE_ZMM,
	"vpcompressd %%zmm1, (%%rbx)%{%%k1%}")
FORM(form_105, LOAD_ZMM, STORE_ZMM,
	"vpexpandd (%%rbx), %%zmm0%{%%k1%}")
FORM(form_106, LOAD_ZMM, STORE_ZMM,
	"vpmovdb %%zmm1, (%%rbx)")
FORM(form_107, LOAD_ZMM, STORE_ZMM,
	"vpandd %%zmm1, %%zmm1, %%zmm1\n\t"
	"vpslld $26, %%zmm1, %%zmm1\n\t"
	"vpsrad $26, %%zmm1, %%zmm1\n\t"
	"vpscatterdd %%zmm0, (%%rbx,%%zmm1,4)%{%%k1%}")

enum need { NEED_NOTHING, NEED_AVX2, NEED_AVX512 };

static const struct {
	void (*run)(uint8_t *middle, struct registers *registers);
	enum need need;
	const char *text;
} forms[] = {
	{form_0, NEED_NOTHING,
		"movq (rbx), rax"},
	{form_1, NEED_NOTHING,
		"movl eax, (rbx)"},
	{form_2, NEED_NOTHING,
		"movb ah, 3(rbx)"},
	{form_3, NEED_NOTHING,
		"movw $0x1234, 5(rbx)"},
	{form_4, NEED_NOTHING,
		"movzbl (rbx), eax"},
	{form_5, NEED_NOTHING,
		"movsbq 1(rbx), rdx"},
	{form_6, NEED_NOTHING,
		"movslq (rbx), rcx"},
	{form_7, NEED_NOTHING,
		"addq rax, (rbx)"},
	{form_8, NEED_NOTHING,
		"addb (rbx), cl"},
	{form_9, NEED_NOTHING,
		"adcl edx, 4(rbx)"},
	{form_10, NEED_NOTHING,
		"sbbq (rbx), rax"},
	{form_11, NEED_NOTHING,
		"subw $7, (rbx)"},
	{form_12, NEED_NOTHING,
		"andq rcx, (rbx)"},
	{form_13, NEED_NOTHING,
		"orb $0x81, (rbx)"},
	{form_14, NEED_NOTHING,
		"xorl (rbx), eax"},
	{form_15, NEED_NOTHING,
		"cmpq rax, (rbx)"},
	{form_16, NEED_NOTHING,
		"testb $0x10, (rbx)"},
	{form_17, NEED_NOTHING,
		"incq (rbx)"},
	{form_18, NEED_NOTHING,
		"decb (rbx)"},
	{form_19, NEED_NOTHING,
		"negl (rbx)"},
	{form_20, NEED_NOTHING,
		"notq (rbx)"},
	{form_21, NEED_NOTHING,
		"shlq $3, (rbx)"},
	{form_22, NEED_NOTHING,
		"sarl cl, (rbx)"},
	{form_23, NEED_NOTHING,
		"rorb $1, (rbx)"},
	{form_24, NEED_NOTHING,
		"rclw $2, (rbx)"},
	{form_25, NEED_NOTHING,
		"shldq $5, rax, (rbx)"},
	{form_26, NEED_NOTHING,
		"shrdl cl, eax, (rbx)"},
	{form_27, NEED_NOTHING,
		"btl $7, (rbx)"},
	{form_28, NEED_NOTHING,
		"btsq $40, (rbx)"},
	{form_29, NEED_NOTHING,
		"movq $-777, rcx; btsq rcx, (rbx)"},
	{form_30, NEED_NOTHING,
		"movl $900, ecx; btcl ecx, (rbx)"},
	{form_31, NEED_NOTHING,
		"bsfq (rbx), rax"},
	{form_32, NEED_NOTHING,
		"imulq (rbx), rax"},
	{form_33, NEED_NOTHING,
		"mull (rbx)"},
	{form_34, NEED_NOTHING,
		"xorl edx, edx; movl $3, (rbx); divl (rbx)"},
	{form_35, NEED_NOTHING,
		"setc (rbx)"},
	{form_36, NEED_NOTHING,
		"cmovzq (rbx), rax"},
	{form_37, NEED_NOTHING,
		"xchgq rax, (rbx)"},
	{form_38, NEED_NOTHING,
		"lock xaddl ecx, (rbx)"},
	{form_39, NEED_NOTHING,
		"lock cmpxchgq rcx, (rbx)"},
	{form_40, NEED_NOTHING,
		"movq (rbx), rax; lock cmpxchgq rcx, (rbx)"},
	{form_41, NEED_NOTHING,
		"lock incl (rbx)"},
	{form_42, NEED_NOTHING,
		"lock cmpxchg8b (rbx)"},
	{form_43, NEED_NOTHING,
		"movbeq (rbx), rax"},
	{form_44, NEED_NOTHING,
		"popcntq (rbx), rcx"},
	{form_45, NEED_NOTHING,
		"crc32q (rbx), rax"},
	{form_46, NEED_NOTHING,
		"movnti rax, (rbx)"},
	{form_47, NEED_NOTHING,
		"movsb"},
	{form_48, NEED_NOTHING,
		"movsq"},
	{form_49, NEED_NOTHING,
		"stosl"},
	{form_50, NEED_NOTHING,
		"lodsw"},
	{form_51, NEED_NOTHING,
		"scasb"},
	{form_52, NEED_NOTHING,
		"cmpsq"},
	{form_53, NEED_NOTHING,
		"movl $9, ecx; rep movsb"},
	{form_54, NEED_NOTHING,
		"movl $5, ecx; rep stosq"},
	{form_55, NEED_NOTHING,
		"movl $20, ecx; repne scasb"},
	{form_56, NEED_NOTHING,
		"movl $8, ecx; repe cmpsw"},
	{form_57, NEED_NOTHING,
		"std; movl $4, ecx; rep movsl"},
	{form_58, NEED_NOTHING,
		"movq rsp, r9; leaq 64(rbx), rsp; pushq rax; "
		"pushq (rbx); popq 8(rbx); popq rcx; movq r9, rsp"},
	{form_59, NEED_NOTHING,
		"movq rsp, r9; leaq 64(rbx), rsp; call 1f; jmp 2f; "
		"1: addq $1, rax; ret; 2: movq r9, rsp; "
		"movq $0, 56(rbx)"},
	{form_60, NEED_NOTHING,
		"leaq 1f(rip), rax; movq rax, (rbx); jmp *(rbx); "
		"nop; 1: movq $0, (rbx); xorl eax, eax"},
	{form_61, NEED_NOTHING,
		"fldl (rbx); fstpt 16(rbx)"},
	{form_62, NEED_NOTHING,
		"fildq (rbx); fistpll 8(rbx)"},
	{form_63, NEED_NOTHING,
		"flds (rbx); fmuls 4(rbx); fstps 8(rbx)"},
	{form_64, NEED_NOTHING,
		"fnstcw (rbx)"},
	{form_65, NEED_NOTHING,
		"movaps (rbx), xmm0"},
	{form_66, NEED_NOTHING,
		"movups xmm1, 3(rbx)"},
	{form_67, NEED_NOTHING,
		"movss (rbx), xmm0"},
	{form_68, NEED_NOTHING,
		"movsd xmm0, 8(rbx)"},
	{form_69, NEED_NOTHING,
		"movlps (rbx), xmm1"},
	{form_70, NEED_NOTHING,
		"movhpd xmm1, (rbx)"},
	{form_71, NEED_NOTHING,
		"addps (rbx), xmm0"},
	{form_72, NEED_NOTHING,
		"mulsd (rbx), xmm1"},
	{form_73, NEED_NOTHING,
		"cvtsi2sdq (rbx), xmm0"},
	{form_74, NEED_NOTHING,
		"cvttsd2siq (rbx), rax"},
	{form_75, NEED_NOTHING,
		"comisd (rbx), xmm0"},
	{form_76, NEED_NOTHING,
		"pxor (rbx), xmm0"},
	{form_77, NEED_NOTHING,
		"paddd (rbx), xmm1"},
	{form_78, NEED_NOTHING,
		"pshufb (rbx), xmm0"},
	{form_79, NEED_NOTHING,
		"punpcklbw (rbx), xmm0"},
	{form_80, NEED_NOTHING,
		"movdqa xmm0, 32(rbx)"},
	{form_81, NEED_NOTHING,
		"movntdq xmm1, (rbx)"},
	{form_82, NEED_NOTHING,
		"movq xmm0, (rbx)"},
	{form_83, NEED_NOTHING,
		"movd (rbx), xmm1"},
	{form_84, NEED_NOTHING,
		"pinsrb $3, (rbx), xmm0"},
	{form_85, NEED_NOTHING,
		"pextrw $2, xmm1, (rbx)"},
	{form_86, NEED_NOTHING,
		"movmskps xmm0, eax; ptest (rbx), xmm0"},
	{form_87, NEED_NOTHING,
		"lddqu 5(rbx), xmm0"},
	{form_88, NEED_NOTHING,
		"stmxcsr (rbx)"},
	{form_89, NEED_NOTHING,
		"maskmovdqu xmm1, xmm0"},
	{form_90, NEED_AVX2,
		"vmovups (rbx), ymm0"},
	{form_91, NEED_AVX2,
		"vmovdqu ymm1, 7(rbx)"},
	{form_92, NEED_AVX2,
		"vaddps (rbx), ymm1, ymm0"},
	{form_93, NEED_AVX2,
		"vbroadcastss (rbx), ymm0"},
	{form_94, NEED_AVX2,
		"vmaskmovps (rbx), ymm1, ymm0"},
	{form_95, NEED_AVX2,
		"vmaskmovps ymm0, ymm1, (rbx)"},
	{form_96, NEED_AVX2,
		"vpaddd (rbx), ymm0, ymm1"},
	{form_97, NEED_AVX2,
		"vextractf128 $1, ymm0, (rbx)"},
	{form_98, NEED_AVX2,
		"vpmovzxbw (rbx), ymm0"},
	{form_99, NEED_AVX2,
		"vpcmpeqd ymm2, ymm2, ymm2; vpslld $26, ymm1, ymm1; "
		"vpsrad $26, ymm1, ymm1; "
		"vpgatherdd ymm2, (rbx,ymm1,4), ymm0"},
	{form_100, NEED_AVX512,
		"vmovups (rbx), zmm0"},
	{form_101, NEED_AVX512,
		"vmovdqu32 zmm1, (rbx){k1}"},
	{form_102, NEED_AVX512,
		"vmovdqu32 (rbx), zmm0{k1}{z}"},
	{form_103, NEED_AVX512,
		"vaddps (rbx){1to16}, zmm1, zmm0"},
	{form_104, NEED_AVX512,
		"vpcompressd zmm1, (rbx){k1}"},
	{form_105, NEED_AVX512,
		"vpexpandd (rbx), zmm0{k1}"},
	{form_106, NEED_AVX512,
		"vpmovdb zmm1, (rbx)"},
	{form_107, NEED_AVX512,
		"vpandd zmm1, zmm1, zmm1; vpslld $26, zmm1, zmm1; "
		"vpsrad $26, zmm1, zmm1; "
		"vpscatterdd zmm0, (rbx,zmm1,4){k1}"},
};

static uint64_t seed;

static uint64_t next_random(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	return z ^ (z >> 31);
}

static bool is_here(enum need need)
{
	unsigned a, b, c, d, low, high;

	if (need == NEED_NOTHING)
		return true;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return false;
	if (need == NEED_AVX2)
		return (low & 6) == 6 && (b & bit_AVX2);
	return (low & 0xe6) == 0xe6 && (b & bit_AVX512F);
}

/* The same for the same form, wherever the memory is. */
static void prepare(unsigned form, uint64_t *memory, struct registers *r)
{
	uint8_t *bytes = (uint8_t *)r;

	seed = form;
	for (unsigned i = 0; i < SIZE / 8; i++)
		memory[i] = next_random() & 0x4fff7fffbfffffff;
	for (unsigned i = 0; i < sizeof(*r); i += 8) {
		uint64_t word = next_random() & 0x4fff7fffbfffffff;

		memcpy(bytes + i, &word, 8);
	}
	r->flags = (r->flags & 0x8d5) | 0x202;
	r->rsi = (uint64_t)memory + SIZE / 2 + 100;
	r->rdi = (uint64_t)memory + SIZE / 2 + 300;
}

static void run(unsigned form, uint64_t *memory, struct registers *r)
{
	prepare(form, memory, r);
	forms[form].run((uint8_t *)memory + SIZE / 2, r);
	r->rsi -= (uint64_t)memory;
	r->rdi -= (uint64_t)memory;
}

/* By words: each is an access to kept memory. */
static bool memory_differs(void)
{
	for (unsigned i = 0; i < SIZE / 8; i++)
		if (kept[i] != plain[i])
			return true;
	return false;
}

int main(void)
{
	unsigned count = sizeof(forms) / sizeof(forms[0]);
	unsigned same = 0, absent = 0;
	struct registers a, b;

	for (unsigned i = 0; i < count; i++) {
		if (!is_here(forms[i].need)) {
			absent++;
			continue;
		}
		run(i, kept, &a);
		run(i, plain, &b);
		if (memcmp(&a, &b, sizeof(a)) || memory_differs())
			printf("differs: %s\n", forms[i].text);
		else
			same++;
	}
	printf("%u same, %u not on this cpu, of %u\n", same, absent, count);
	return same + absent == count ? 0 : 1;
}
