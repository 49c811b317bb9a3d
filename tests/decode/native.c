/* SPDX-License-Identifier: MIT */
#include "tests/decode/native.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define CODE_PAGE (CODE_ADDRESS & ~UINT64_C(4095))

static bool map_at(int fd, uint64_t address, size_t size, int prot, off_t from)
{
	return mmap((void *)(uintptr_t)address, size, prot,
		       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, from) !=
		MAP_FAILED;
}

/* In the child; its C library goes on living in there, out of the way. */
static _Noreturn void child(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!map_at(fd, CODE_PAGE, PAGE, PROT_READ | PROT_EXEC, 0) ||
		!map_at(fd, DATA_ADDRESS, DATA_SIZE, PROT_READ | PROT_WRITE,
			PAGE) ||
		!map_at(fd, READONLY_ADDRESS, DATA_SIZE, PROT_READ, PAGE))
		_exit(1);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	_exit(2);
}

static int get_xstate(pid_t pid, struct arch_xstate *out)
{
	struct iovec iov = { out->area, sizeof(out->area) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov))
		return -errno;
	out->size = iov.iov_len;
	return 0;
}

static int set_xstate(pid_t pid, const struct arch_xstate *in)
{
	struct iovec iov = { (void *)in->area, in->size };

	return ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov) ? -errno : 0;
}

static int start(struct native *native)
{
	int status;

	fflush(NULL);
	native->pid = fork();
	if (native->pid < 0)
		return -errno;
	if (!native->pid)
		child(native->fd);
	if (waitpid(native->pid, &status, 0) != native->pid ||
		!WIFSTOPPED(status)) {
		fprintf(stderr, "the traced child did not start\n");
		native->pid = 0;
		return -ECHILD;
	}
	return get_xstate(native->pid, &native->xstate);
}

/* The two take turns: on one CPU that costs least. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : (unsigned)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int native_open(struct native *native)
{
	uint8_t *memory;

	memset(native, 0, sizeof(*native));
	stay_on_one_cpu();
	native->fd = memfd_create("native", MFD_CLOEXEC);
	if (native->fd < 0 || ftruncate(native->fd, PAGE + DATA_SIZE))
		return -errno;
	memory = mmap(NULL, PAGE + DATA_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED, native->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	native->code = memory + (CODE_ADDRESS - CODE_PAGE);
	native->data = memory + PAGE;
	return start(native);
}

static void stop(struct native *native)
{
	if (!native->pid)
		return;
	kill(native->pid, SIGKILL);
	waitpid(native->pid, NULL, 0);
	native->pid = 0;
}

void native_close(struct native *native)
{
	stop(native);
	munmap(native->data - PAGE, PAGE + DATA_SIZE);
	close(native->fd);
}

/* Where each of arch_gpr is in the kernel's structure. */
static unsigned long long *gpr_of(struct user_regs_struct *regs, unsigned i)
{
	unsigned long long *const gpr[ARCH_GPR_MAX] = { &regs->rax, &regs->rcx,
		&regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp, &regs->rsi,
		&regs->rdi, &regs->r8, &regs->r9, &regs->r10, &regs->r11,
		&regs->r12, &regs->r13, &regs->r14, &regs->r15 };

	return gpr[i];
}

static bool set_regs(pid_t pid, const struct arch_regs *in)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
		return false;
	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		*gpr_of(&regs, i) = in->gpr[i];
	regs.rip = in->rip;
	regs.eflags = in->rflags;
	regs.fs_base = in->fs_base;
	regs.gs_base = in->gs_base;
	regs.orig_rax = (unsigned long long)-1; /* no system call to restart */
	return !ptrace(PTRACE_SETREGS, pid, 0, &regs);
}

static bool get_regs(pid_t pid, struct arch_regs *out)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
		return false;
	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		out->gpr[i] = *gpr_of(&regs, i);
	out->rip = regs.rip;
	out->rflags = regs.eflags;
	out->fs_base = regs.fs_base;
	out->gs_base = regs.gs_base;
	return true;
}

/* Of instructions that know MMX and SSE registers none was seen with both. */
static bool is_x87(const struct insn *insn)
{
	return insn->internal.x87 || insn->internal.mmx;
}

/* The exception behind a signal (arch/x86/kernel/traps.c of Linux). */
static bool fault_of(
	const siginfo_t *info, const struct insn *insn, struct arch_fault *out)
{
	memset(out, 0, sizeof(*out));
	switch (info->si_signo) {
	case SIGSEGV:
		out->vector = info->si_code == SI_KERNEL ? ARCH_VECTOR_GP :
							   ARCH_VECTOR_PF;
		if (out->vector == ARCH_VECTOR_PF)
			out->address = (uint64_t)(uintptr_t)info->si_addr;
		return true;
	case SIGBUS:
		out->vector = info->si_code == BUS_ADRALN ? ARCH_VECTOR_AC :
							    ARCH_VECTOR_SS;
		return true;
	case SIGFPE:
		out->vector = info->si_code == FPE_INTDIV ? ARCH_VECTOR_DE :
			is_x87(insn)			  ? ARCH_VECTOR_MF :
							    ARCH_VECTOR_XM;
		return true;
	case SIGILL:
		out->vector = ARCH_VECTOR_UD;
		return true;
	default:
		return false;
	}
}

static bool step(struct native *native, const struct insn *insn,
	const struct state *before, struct outcome *after)
{
	siginfo_t info;
	int status;

	if (!set_regs(native->pid, &before->regs) ||
		set_xstate(native->pid, &before->xstate) ||
		ptrace(PTRACE_SINGLESTEP, native->pid, 0, 0) ||
		waitpid(native->pid, &status, 0) != native->pid ||
		!WIFSTOPPED(status))
		return false;
	after->faulted = WSTOPSIG(status) != SIGTRAP;
	if (after->faulted &&
		(ptrace(PTRACE_GETSIGINFO, native->pid, 0, &info) ||
			!fault_of(&info, insn, &after->fault)))
		return false;
	if (!get_regs(native->pid, &after->state.regs))
		return false;
	native->sticky_flags = after->state.regs.rflags &
		(ARCH_RFLAGS_ID | ARCH_RFLAGS_NT);
	return !get_xstate(native->pid, &after->state.xstate);
}

/* A gather or scatter that is about to fault lets the single step's trap go
 * first when it has done some elements. */
static bool is_between(const struct insn *insn, const struct state *before,
	const struct outcome *after)
{
	return insn->operands[0].vsib && !after->faulted &&
		after->state.regs.rip == before->regs.rip;
}

bool native_step(struct native *native, const struct insn *insn,
	const struct state *before, struct outcome *after)
{
	memcpy(native->code, insn->bytes, insn->length);
	if (!native->pid && start(native))
		return false;
	if (step(native, insn, before, after)) {
		if (is_between(insn, before, after)) {
			struct state between = after->state;

			return native_step(native, insn, &between, after);
		}
		return true;
	}
	fprintf(stderr, "lost the child: %s\n", strerror(errno));
	stop(native);
	return false;
}
