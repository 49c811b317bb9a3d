/* SPDX-License-Identifier: MIT */
/*
 * Banks: who pays for which frame. A tree; the root has all frames there are.
 * A bank can use what its limit and those of all banks above it leave. Caller
 * holds the big lock.
 */
#ifndef CUSTOS_KERNEL_BANK_H
#define CUSTOS_KERNEL_BANK_H

#include "cap.h"
#include "frame.h"
#include "list.h"

#define BANK_DEPTH_MAX 16

/* In this order they are ended. */
enum bank_list { BANK_PROCESSES, BANK_OBJECTS, BANK_TABLES, BANK_LISTS };

struct bank {
	struct bank *parent;   /* NULL: root */
	struct list siblings;  /* link in the parent's children */
	struct list children;
	struct list dying;     /* link of banks being ended */
	uint64_t own, all;     /* frames used: itself; with those below */
	uint64_t limit;	       /* of all; 0: none */
	uint64_t tables;       /* own, of type FRAME_TABLE */
	uint32_t first[BANK_LISTS]; /* frame numbers: its frames but itself */
	bool ending;	       /* allocates no more */
	bool removing;	       /* its objects go to the parent */
	struct cap keeper;     /* entry, or null */
};

/* The root bank, made once at boot. */
struct bank *bank_init(void);
struct bank *bank_root(void);

/*
 * A frame (a process: the run) of zeros for an object of that type. 0: refused,
 * and bank_refusal() is the bank whose limit is reached, NULL when the machine
 * has no free frame.
 */
uint64_t bank_alloc(struct bank *bank, enum frame_type type);
/* The same without the zeros, for who fills it whole. */
uint64_t bank_alloc_dirty(struct bank *bank, enum frame_type type);
struct bank *bank_refusal(void);

/* Could so many frames be had now? If not, as if one had been refused. */
bool bank_can(struct bank *bank, uint64_t frames);

/* Give a frame (a run) back. Nothing leads to it any more: object.h does that
 * for objects. */
void bank_free(uint64_t gpa);

/* The frame's bank becomes another; no limit is checked. */
void bank_move(uint64_t gpa, struct bank *to);

/* -CUSTOS_E_LIMIT: too deep, or no frame. */
int bank_create_child(struct bank *parent, uint64_t limit, struct bank **out);

/*
 * End the bank: with all objects of it and of the banks below, or (remove)
 * giving them to its parent. Done in pieces, here the first one; the others at
 * later kernel entries: trap.c calls bank_end_piece() once in each, after all
 * else (the process that entered may end by it). True when no bank is ending
 * any more.
 */
void bank_end(struct bank *bank, bool remove);
bool bank_end_piece(void);

#endif
