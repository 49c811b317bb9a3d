/* SPDX-License-Identifier: MIT */
/* Private to plugin*.c: whose code runs on this thread. */
#ifndef CUSTOS_KEEPER_PLUGIN_IMPL_H
#define CUSTOS_KEEPER_PLUGIN_IMPL_H

#include <stdint.h>

#include "trace/access.h"

/* What a crash report says; lives on the stack of whoever calls. */
struct plugin_call {
	const char *path; /* the plugin's file */
	const char *callback; /* "access" */
	const char *service; /* of custos, which the plugin called; or NULL */
	const struct access *access; /* NULL: none */
	uintptr_t base; /* where it is loaded */
};

extern _Thread_local struct plugin_call *volatile plugin_calling;

/* Catch fatal signals. */
void plugin_crash_init(void);

/* This thread is about to run a plugin: let even a full stack be told. */
void plugin_crash_thread(void);

#endif
