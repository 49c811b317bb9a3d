/* SPDX-License-Identifier: MIT */
/*
 * A displaced instruction that faults raises a signal in the monitor. The
 * handler recognizes it by where it happened, notes the vector and lets the
 * thunk end; the state is as the fault left it. Every other fault goes to
 * whoever handled the signal before us (a sanitizer, a crash reporter).
 *
 * The thunk keeps the thread's own stack and thread pointer, so the handler
 * needs nothing special; it runs on an alternate stack if the thread has one.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "decode/exec_impl.h"

void trap_entry(int signal, siginfo_t *info, void *context);
void trap_handler(int signal, siginfo_t *info, void *context);
void thunk_exit(void);
void thunk_exit_xstate(void);

static const int caught[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
#define CAUGHT_COUNT (sizeof(caught) / sizeof(caught[0]))

static struct sigaction previous[CAUGHT_COUNT];
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

/* What runs on this thread. Written around the thunk, read by the handler. */
static _Thread_local const uint8_t *volatile running_code;
static _Thread_local struct trap *volatile running_trap;
static _Thread_local volatile bool running_xstate;

static void pass_on(int signal, siginfo_t *info, void *context)
{
	for (size_t i = 0; i < CAUGHT_COUNT; i++) {
		const struct sigaction *old = &previous[i];

		if (caught[i] != signal)
			continue;
		if (old->sa_flags & SA_SIGINFO)
			old->sa_sigaction(signal, info, context);
		else if (old->sa_handler != SIG_DFL &&
			old->sa_handler != SIG_IGN)
			old->sa_handler(signal);
		else /* happens again, and then kills as it should */
			sigaction(signal, old, NULL);
	}
}

void trap_handler(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *rip = (const uint8_t *)regs[REG_RIP];
	const uint8_t *code = running_code;
	struct trap *trap = running_trap;

	/* A signal somebody sent has no rip of the fault's in the slot, or has
	 * si_code <= 0. */
	if (!code || rip < code || rip >= code + SLOT_BYTES ||
		info->si_code <= 0) {
		pass_on(signal, info, context);
		return;
	}
	trap->raised = true;
	trap->vector = (uint8_t)regs[REG_TRAPNO];
	trap->address = (uint64_t)regs[REG_CR2];
	regs[REG_RIP] = (greg_t)(
		running_xstate ? thunk_exit_xstate : thunk_exit);
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) &&
		action->sa_sigaction == trap_entry;
}

/* Again for every executor: somebody may have put his own in since. */
void trap_init(void)
{
	struct sigaction old, action = {
		.sa_sigaction = trap_entry,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&install_lock);
	for (size_t i = 0; i < CAUGHT_COUNT; i++) {
		if (sigaction(caught[i], NULL, &old) || is_ours(&old))
			continue;
		previous[i] = old;
		sigaction(caught[i], &action, NULL);
	}
	pthread_mutex_unlock(&install_lock);
}

void trap_run(struct thunk_frame *frame, bool xstate, struct trap *trap)
{
	trap->raised = false;
	running_trap = trap;
	running_xstate = xstate;
	running_code = frame->code;
	if (xstate)
		thunk_run_xstate(frame);
	else
		thunk_run(frame);
	running_code = NULL;
}
