/* SPDX-License-Identifier: MIT */
/*
 * Checks of our own logic. Always compiled in: a debugger that goes on with a
 * broken invariant reports lies. Never use them for anything a guest, a file,
 * a script or the host can cause; those are events and errors.
 */
#ifndef CUSTOS_BASE_INVARIANT_H
#define CUSTOS_BASE_INVARIANT_H

/*
 * invariant(cond): abort with the place and the expression when cond is
 * false. cond must not have side effects.
 */
#define invariant(cond)                                                        \
	((cond) ? (void)0 : invariant_failed(#cond, __FILE__, __LINE__, __func__))

/* A place that cannot be reached, e.g. after a switch over every enumerator. */
#define unreachable_state()                                                    \
	invariant_failed("unreachable", __FILE__, __LINE__, __func__)

_Noreturn void invariant_failed(
	const char *expr, const char *file, int line, const char *func);

/*
 * Have hook(arg) called before the abort, to print what helps (event rings,
 * registers). One hook; NULL removes it. The hook may run on any thread and
 * must not allocate.
 */
void invariant_set_hook(void (*hook)(void *arg), void *arg);

#endif
