/* SPDX-License-Identifier: MIT */
/* Arrays that grow by doubling. */
#ifndef CUSTOS_BASE_GROW_H
#define CUSTOS_BASE_GROW_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Room for need elements of size one. array: address of the pointer to them,
 * which may be NULL when *room is 0. New elements are zero. False: out of
 * memory, nothing has changed.
 */
bool grow_array(void *array, size_t *room, size_t need, size_t one);

#define GROW(array, room, need)                                                \
	((need) <= (room) ||                                                   \
		grow_array(&(array), &(room), need, sizeof(*(array))))

#endif
