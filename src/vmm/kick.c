/* SPDX-License-Identifier: MIT */
#include "vmm/kick.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local uint8_t *volatile flag_of_thread;

static int kick_signal(void)
{
	return SIGRTMIN + 3;
}

static void on_kick(int sig)
{
	uint8_t *flag = flag_of_thread;

	(void)sig;
	if (flag)
		__atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
}

int vmm_kick_init(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_kick;
	/* KVM_RUN returns EINTR all the same; writes of the callbacks go on. */
	action.sa_flags = SA_RESTART;
	sigfillset(&action.sa_mask);
	return sigaction(kick_signal(), &action, NULL) ? -errno : 0;
}

static void set_blocked(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, kick_signal());
	pthread_sigmask(how, &set, NULL);
}

void vmm_kick_enter(uint8_t *flag)
{
	flag_of_thread = flag;
	set_blocked(SIG_UNBLOCK);
}

void vmm_kick_leave(void)
{
	set_blocked(SIG_BLOCK);
	flag_of_thread = NULL;
}

void vmm_kick(pid_t tid)
{
	int saved = errno;

	syscall(SYS_tgkill, getpid(), tid, kick_signal());
	errno = saved;
}
