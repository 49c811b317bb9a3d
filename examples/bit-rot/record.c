/* SPDX-License-Identifier: MIT */
/*
 * A record is read from memory that may fail (a battery-backed RAM, a
 * register of a bad board) and carries its check value. The program computes
 * it and goes on whatever comes out. With `fixed' it reads again.
 */
#include <custos/guest.h>

#define WORDS 4
#define TRIES 100

volatile uint64_t record[WORDS + 1]; /* the last one: the check */

static uint64_t check_of(const uint64_t *words)
{
	uint64_t check = UINT64_C(0x5bd1e995);
	size_t i;

	for (i = 0; i < WORDS; i++)
		check = (check ^ words[i]) * UINT64_C(0x100000001b3);
	return check;
}

static void record_write(void)
{
	uint64_t words[WORDS];
	size_t i;

	for (i = 0; i < WORDS; i++) {
		words[i] = (i + 1) * 1000;
		record[i] = words[i];
	}
	record[WORDS] = check_of(words);
}

__attribute__((noinline)) static bool read_once(uint64_t *words)
{
	uint64_t check;
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = record[i];
	check = record[WORDS];
	return check == check_of(words);
}

__attribute__((noinline)) static uint64_t sum(bool fixed)
{
	uint64_t words[WORDS], total = 0;
	unsigned tries = 0;
	size_t i;

	while (!read_once(words) && fixed && tries < TRIES)
		tries++; /* the bug: not without `fixed' */
	for (i = 0; i < WORDS; i++)
		total += words[i];
	return total;
}

int main(int argc, char **argv)
{
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	unsigned i, wrong = 0;

	record_write();
	for (i = 0; i < 20; i++)
		wrong += sum(fixed) != 10000;
	printf("%u of 20 sums are wrong\n", wrong);
	return wrong ? 1 : 0;
}
