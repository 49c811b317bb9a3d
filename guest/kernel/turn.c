/* SPDX-License-Identifier: MIT */
#include "turn.h"

void turn_wait(struct cpu *cpu)
{
	if (!turn_is_repeated())
		return;
	while (!machine_hypercall(
		CUSTOS_CALL_TURN, CUSTOS_TURN_WANT, 0, 0, 0, 0))
		cpu_answer_flush(cpu);
}

void turn_take(void)
{
	if (turn_is_ordered())
		machine_hypercall(
			CUSTOS_CALL_TURN, CUSTOS_TURN_TAKE, 0, 0, 0, 0);
}
