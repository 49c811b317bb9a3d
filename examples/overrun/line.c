/* SPDX-License-Identifier: MIT */
/*
 * A line is copied into a buffer; the NUL behind it is forgotten when its
 * length is compared. What lies behind the buffer has its own users, all of
 * them right. With `fixed' the comparison is.
 */
#include <custos/guest.h>

#define LINE_SIZE 16

struct input {
	char line[LINE_SIZE];
	uint32_t count; /* the neighbour */
};

struct input input;

__attribute__((noinline)) static bool read_line(const char *text, size_t room)
{
	volatile char *to = input.line;
	size_t i = 0;

	if (strlen(text) > room)
		return false;
	while ((*to++ = text[i]))
		i++;
	return true;
}

__attribute__((noinline)) static void count_line(void)
{
	*(volatile uint32_t *)&input.count += 1;
}

int main(int argc, char **argv)
{
	static const char *const lines[] = {
		"short",
		"fifteen letters",
		"sixteen, no more", /* and a NUL */
		"far too long for the buffer",
	};
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (read_line(lines[i], fixed ? LINE_SIZE - 1 : LINE_SIZE))
			count_line();
	printf("%u lines\n", input.count);
	return 0;
}
