/* SPDX-License-Identifier: MIT */
#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 64 /* elements */

bool grow_array(void *array, size_t *room, size_t need, size_t one)
{
	size_t more = *room ? *room : FIRST;
	void *old, *bigger;

	if (need <= *room)
		return true;
	while (more < need)
		if (__builtin_mul_overflow(more, 2, &more))
			return false;
	/* It is a pointer to we do not know what. */
	memcpy(&old, array, sizeof(old));
	bigger = reallocarray(old, more, one);
	if (!bigger)
		return false;
	memset((uint8_t *)bigger + *room * one, 0, (more - *room) * one);
	memcpy(array, &bigger, sizeof(bigger));
	*room = more;
	return true;
}
