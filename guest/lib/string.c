/* SPDX-License-Identifier: MIT */
/* The string functions compilers and people expect. */
#include <custos/guest.h>

void *memcpy(void *to, const void *from, size_t size)
{
	void *at = to;

	__asm__ volatile("rep movsb"
			 : "+D"(at), "+S"(from), "+c"(size)
			 :
			 : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	char *at = to;
	const char *source = from;

	if ((uintptr_t)to - (uintptr_t)from >= size)
		return memcpy(to, from, size);
	while (size--) {
		at[size] = source[size];
		__asm__ volatile("" : : : "memory"); /* stay a loop */
	}
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb"
			 : "+D"(at), "+c"(size)
			 : "a"(byte)
			 : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (; size; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *string)
{
	const char *at = string;

	while (*at) {
		at++;
		__asm__ volatile("" : : : "memory"); /* stay a loop */
	}
	return (size_t)(at - string);
}

int strncmp(const char *a, const char *b, size_t size)
{
	for (; size; size--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

uint64_t parse_number(const char *string)
{
	uint64_t value = 0;
	int base = 10;

	if (string[0] == '0' && (string[1] | 0x20) == 'x') {
		base = 16;
		string += 2;
	}
	for (; digit_value(*string) < base; string++)
		value = value * (uint64_t)base + (uint64_t)digit_value(*string);
	return value;
}
