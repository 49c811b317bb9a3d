/* SPDX-License-Identifier: MIT */
/* The smallest program: greets, prints its arguments. */
#include <custos/guest.h>

int main(int argc, char **argv)
{
	int i;

	printf("hello from %s\n", argv[0] ? argv[0] : "nobody");
	for (i = 1; i < argc; i++)
		printf("argument %d: %s\n", i, argv[i]);
	return 0;
}
