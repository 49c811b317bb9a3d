/* SPDX-License-Identifier: MIT */
/* Whoever writes down, or says, in which order the threads of a target do what
 * others can see of them. */
#ifndef CUSTOS_SESSION_ORDER_H
#define CUSTOS_SESSION_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* Any thread, several at once. */
struct session_order {
	void *ctx;
	/* As target_handler.turn, by the thread's index. */
	bool (*turn)(void *ctx, unsigned cpu, bool begins);
	/* May this process make its access to the range now? With no page
	 * locked. NULL: always. */
	bool (*access)(void *ctx, uint64_t process, uint32_t range);
	/* An access may not yet: wait, a little, until that may have changed.
	 * With nothing locked. */
	void (*wait)(void *ctx, unsigned cpu);
};

#endif
