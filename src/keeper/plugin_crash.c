/* SPDX-License-Identifier: MIT */
/*
 * A plugin that crashes takes custos with it: its memory is ours, and nobody
 * knows what it broke. So it is only told, by what is allowed in a signal
 * handler, and the process ends.
 *
 * The executor of instructions catches some of the same signals (decode) and
 * passes on what is not its own; we do the same, so that either may have been
 * installed first. Two that pass on to each other are a circle: the second
 * visit ends it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "keeper/plugin.h"
#include "keeper/plugin_impl.h"

_Thread_local struct plugin_call *volatile plugin_calling;
static _Thread_local volatile sig_atomic_t passing;
static _Thread_local bool has_stack;
/* A frame with AVX-512 state is 4 KiB; a report needs another one. */
static _Thread_local _Alignas(16) char own_stack[32 * 1024];

static const struct {
	int signal;
	const char *text;
} caught[] = {
	{ SIGSEGV, "SIGSEGV, a bad address" },
	{ SIGBUS, "SIGBUS, a bad address" },
	{ SIGFPE, "SIGFPE, bad arithmetic" },
	{ SIGILL, "SIGILL, a bad instruction" },
	{ SIGTRAP, "SIGTRAP, a trap" },
	{ SIGABRT, "SIGABRT, abort()" },
};
#define CAUGHT_COUNT (sizeof(caught) / sizeof(caught[0]))

static struct sigaction previous[CAUGHT_COUNT];
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- composing text without the library ---- */

struct line {
	char text[1024];
	size_t len;
};

static void add(struct line *line, const char *text)
{
	while (*text && line->len < sizeof(line->text) - 1) {
		char c = *text++;

		/* Names come from guests. */
		line->text[line->len++] = c >= ' ' && c < 0x7f ? c : '?';
	}
}

static void add_number(struct line *line, uint64_t value, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	add(line, base == 16 ? "0x" : "");
	add(line, digits + at);
}

static void add_access(struct line *line, const struct access *access)
{
	add(line, ", access ");
	add_number(line, access->seq, 10);
	add(line, ": ");
	add(line, access_kind_name(access->kind));
	add(line, " of ");
	add_number(line, access->size, 10);
	add(line, " bytes at ");
	add(line, access->range_name);
	add(line, "+");
	add_number(line, access->offset, 10);
	add(line, " by ");
	add(line, access->process_name);
	add(line, "#");
	add_number(line, access->process, 10);
	add(line, " at ");
	add_number(line, access->ip, 16);
}

static void report(const struct plugin_call *call, const char *why,
	const siginfo_t *info, uint64_t rip)
{
	struct line line = { .len = 0 };
	size_t done = 0;

	add(&line, "custos: plugin ");
	add(&line, call->path);
	add(&line, " crashed (");
	add(&line, why);
	if (info->si_signo != SIGABRT && info->si_code > 0) {
		add(&line, " ");
		add_number(&line, (uintptr_t)info->si_addr, 16);
	}
	add(&line, ") in callback ");
	add(&line, call->callback);
	if (call->service) {
		add(&line, ", in custos's own ");
		add(&line, call->service);
		add(&line, "() that it called");
	} else if (rip >= call->base && info->si_signo != SIGABRT) {
		add(&line, ", at ");
		add_number(&line, rip - call->base, 16);
		add(&line, " of the file");
	}
	if (call->access)
		add_access(&line, call->access);
	line.text[line.len++] = '\n';
	while (done < line.len) {
		ssize_t n = write(
			STDERR_FILENO, line.text + done, line.len - done);

		if (n <= 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
}

static void pass_on(size_t i, siginfo_t *info, void *context)
{
	const struct sigaction *old = &previous[i];

	if (passing || (!(old->sa_flags & SA_SIGINFO) &&
			(old->sa_handler == SIG_DFL ||
				old->sa_handler == SIG_IGN))) {
		/* It happens again, and then kills as it should. */
		signal(caught[i].signal, SIG_DFL);
		if (info->si_code <= 0) /* sent: it does not by itself */
			raise(caught[i].signal);
		return;
	}
	passing = 1;
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(caught[i].signal, info, context);
	else
		old->sa_handler(caught[i].signal);
	passing = 0;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct plugin_call *call = plugin_calling;
	size_t i = 0;

	while (i + 1 < CAUGHT_COUNT && caught[i].signal != signal)
		i++;
	if (!call) {
		pass_on(i, info, context);
		return;
	}
	plugin_calling = NULL; /* a crash in here is our own */
	report(call, caught[i].text, info, (uint64_t)regs[REG_RIP]);
	_exit(PLUGIN_CRASHED_CODE);
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) &&
		action->sa_sigaction == on_signal;
}

/* Again for every plugin: somebody may have put his own in since. */
void plugin_crash_init(void)
{
	struct sigaction old, action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&install_lock);
	for (size_t i = 0; i < CAUGHT_COUNT; i++) {
		if (sigaction(caught[i].signal, NULL, &old) || is_ours(&old))
			continue;
		previous[i] = old;
		sigaction(caught[i].signal, &action, NULL);
	}
	pthread_mutex_unlock(&install_lock);
}

void plugin_crash_thread(void)
{
	stack_t old, own = {
		.ss_sp = own_stack,
		.ss_size = sizeof(own_stack),
	};

	if (has_stack)
		return;
	has_stack = true;
	if (!sigaltstack(NULL, &old) && (old.ss_flags & SS_DISABLE))
		sigaltstack(&own, NULL);
}
