/* SPDX-License-Identifier: MIT */
/*
 * Getting a host thread out of KVM_RUN: a signal whose handler sets the
 * vCPU's immediate_exit, so that it works before, during and after the call.
 */
#ifndef CUSTOS_VMM_KICK_H
#define CUSTOS_VMM_KICK_H

#include <stdint.h>
#include <sys/types.h>

/* Install the handler; before any thread is kicked. Returns 0 or -errno. */
int vmm_kick_init(void);

/* Called by the thread to be kicked: from now on, a kick sets *flag. */
void vmm_kick_enter(uint8_t *flag);
void vmm_kick_leave(void);

/* Kick the thread tid of this process. Async-signal-safe. */
void vmm_kick(pid_t tid);

#endif
