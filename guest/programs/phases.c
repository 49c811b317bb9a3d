/* SPDX-License-Identifier: MIT */
/*
 * Says what it is at while it works: phases COUNT adds to a total in COUNT
 * rounds, each announced by a mark; the last word is a variable's.
 */
#include <custos/guest.h>

volatile uint64_t total;
char last_word[] = "all rounds are over";

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? parse_number(argv[1]) : 3;
	uint32_t self = cap_find("self");

	for (uint64_t round = 1; round <= rounds; round++) {
		mark("round %lu of %lu", round, rounds);
		total += round;
	}
	assert(!custos_process_mark(
		self, (uint64_t)last_word, sizeof(last_word) - 1));
	printf("total = %lu\n", total);
	return 0;
}
