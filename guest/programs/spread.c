/* SPDX-License-Identifier: MIT */
/*
 * Loads words in many places, none twice in a row: spread WHAT PLACES COUNT.
 *	pages	one word in each of PLACES pages
 *	words	PLACES words of one page
 */
#include <custos/guest.h>

#define PLACES_MAX 1000
#define PAGE_WORDS 1024

PAGE_ALIGNED volatile uint32_t cells[PLACES_MAX * PAGE_WORDS];

int main(int argc, char **argv)
{
	uint64_t places, count, step, at = 0;

	if (argc != 4 || parse_number(argv[2]) < 1 ||
		parse_number(argv[2]) > PLACES_MAX) {
		printf("usage: spread pages|words PLACES COUNT\n");
		return 2;
	}
	step = strcmp(argv[1], "pages") ? 1 : PAGE_WORDS;
	places = parse_number(argv[2]);
	count = parse_number(argv[3]);
	for (uint64_t i = 0; i < count; i++) {
		__asm__ volatile("mov %0, %%eax" : : "m"(cells[at * step]) : "rax");
		at = (at + 617) % places;
	}
	return 0;
}
