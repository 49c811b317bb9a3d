/* SPDX-License-Identifier: MIT */
/* A counter that is incremented five times, each by one instruction. */
#include <custos/guest.h>

volatile uint64_t counter;

int main(void)
{
	int i;

	for (i = 0; i < 5; i++)
		__asm__ volatile("lock incq %0" : "+m"(counter));
	printf("counter = %lu\n", counter);
	return counter == 5 ? 0 : 1;
}
