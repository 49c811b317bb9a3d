/* SPDX-License-Identifier: MIT */
/*
 * steps WHAT: code in a page of its own, a stack in another, and a buffer in a
 * third, for keepers of code and stacks.
 *	code	16 instructions: a loop, flags pushed and popped; result 7
 *	call	a system call of 4 instructions; result 0
 *	copy	rep movsb of 16 bytes, 18 instructions; result 16
 *	stack	5 pushes and 5 pops on the kept stack; result 5
 *	both	code, on the kept stack
 */
#include <custos/guest.h>

#define COPIED 16

char kept_stack[PAGE_SIZE] PAGE_ALIGNED;
char kept_buffer[PAGE_SIZE] PAGE_ALIGNED;
static const char source[COPIED] = "0123456789abcde";

extern const char kept_code[];
uint64_t code_run(void);
int64_t code_call(uint64_t op, uint64_t slot);
uint64_t code_copy(char *to, const char *from, uint64_t count);
uint64_t stack_use(void);
uint64_t stack_with(uint64_t (*function)(void), char *stack_end);

__asm__(".pushsection .text.kept,\"ax\",@progbits\n"
	".balign 4096\n"
	".globl kept_code, code_run, code_call, code_copy\n"
	".type kept_code, @object; .size kept_code, 4096\n"
	".type code_run, @function\n"
	".type code_call, @function\n"
	".type code_copy, @function\n"
	"kept_code:\n"
	"code_run: mov $1, %eax\n"
	"	mov $3, %ecx\n"
	"1:	add %ecx, %eax\n"
	"	dec %ecx\n"
	"	jnz 1b\n"
	"	pushfq\n"
	"	popfq\n"
	"	push %rax\n"
	"	pop %rdx\n"
	"	ret\n"
	"code_call: mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	syscall\n"
	"	ret\n"
	"code_copy: mov %rdx, %rcx\n"
	"	rep movsb\n"
	"	ret\n"
	".balign 4096\n"
	".popsection\n"
	".globl stack_use, stack_with\n"
	".type stack_use, @function\n"
	".type stack_with, @function\n"
	"stack_use: push $5\n"
	"	push %rax\n"
	"	pushfq\n"
	"	popfq\n"
	"	pop %rax\n"
	"	pop %rax\n"
	"	call 2f\n"
	"	ret\n"
	"2:	ret\n"
	"stack_with: push %rbx\n"
	"	mov %rsp, %rbx\n"
	"	mov %rsi, %rsp\n"
	"	call *%rdi\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	"	ret\n");

static int64_t run(const char *what)
{
	char *stack_end = kept_stack + PAGE_SIZE;

	if (!strcmp(what, "code"))
		return (int64_t)code_run();
	if (!strcmp(what, "call"))
		return code_call(CUSTOS_OP_PROCESS_YIELD, cap_find("self"));
	if (!strcmp(what, "copy")) {
		code_copy(kept_buffer, source, COPIED);
		return COPIED + memcmp(kept_buffer, source, COPIED);
	}
	if (!strcmp(what, "stack"))
		return (int64_t)stack_with(stack_use, stack_end);
	if (!strcmp(what, "both"))
		return (int64_t)stack_with(code_run, stack_end);
	return -1;
}

int main(int argc, char **argv)
{
	printf("result %ld\n", (long)run(argc > 1 ? argv[1] : ""));
	return 0;
}
