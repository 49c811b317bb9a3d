/* SPDX-License-Identifier: MIT */
/* Reads and writes a page of numbers. What it does not know: no page is there.
 * Word n of it reads as n * n; what is stored is only printed. */
#include <custos/guest.h>

#define SQUARES ((volatile uint32_t *)0x30000000)

int main(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < 5; i++) {
		printf("client: word %u is %u\n", i, SQUARES[i]);
		flush();
		sum += SQUARES[i];
	}
	SQUARES[100] = sum;
	return sum == 0 + 1 + 4 + 9 + 16 ? 0 : 1;
}
