/* SPDX-License-Identifier: MIT */
/* Circular doubly linked lists whose links live in the linked objects. */
#ifndef CUSTOS_KERNEL_LIST_H
#define CUSTOS_KERNEL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY(link, type, member)                                         \
	((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

/* Put link before `before`; at the end when that is the list itself. */
static inline void list_insert(struct list *before, struct list *link)
{
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

/* Take link out of whatever list it is in; harmless when it is in none. */
static inline void list_remove(struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_init(link);
}

#endif
