/* SPDX-License-Identifier: MIT */
/*
 * Does one thing to memory, often: hammer WHAT COUNT.
 *	inc	lock incq on a word that shares its page with nothing
 *	load	load that word
 *	vector	load 16 bytes there into xmm0
 *	fill	rep stosq over its page
 *	spin	no memory at all: a chain of multiplications; prints the TSC
 *		cycles it took
 */
#include <custos/guest.h>

PAGE_ALIGNED volatile uint64_t word[512];

static void inc(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		__asm__ volatile("lock incq %0" : "+m"(word[0]));
}

static void load(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		__asm__ volatile("mov %0, %%rax" : : "m"(word[0]) : "rax");
}

static void vector(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		__asm__ volatile("movaps (%0), %%xmm0"
				 :
				 : "r"(word)
				 : "xmm0", "memory");
}

static void fill(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		volatile uint64_t *to = word;
		uint64_t n = 512;

		__asm__ volatile("rep stosq"
				 : "+D"(to), "+c"(n)
				 : "a"(i)
				 : "memory");
	}
}

static void spin(uint64_t count)
{
	uint64_t x = count | 1, before, after;

	before = __builtin_ia32_rdtsc();
	for (uint64_t i = 0; i < count; i++)
		__asm__ volatile("imul %0, %0" : "+r"(x));
	after = __builtin_ia32_rdtsc();
	printf("%lu\n", after - before);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(uint64_t count);
	} things[] = {
		{"inc", inc},
		{"load", load},
		{"vector", vector},
		{"fill", fill},
		{"spin", spin},
	};

	for (unsigned i = 0; argc == 3 && i < 5; i++)
		if (!strcmp(argv[1], things[i].name)) {
			things[i].run(parse_number(argv[2]));
			return 0;
		}
	printf("usage: hammer inc|load|vector|fill|spin COUNT\n");
	return 2;
}
