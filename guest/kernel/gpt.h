/* SPDX-License-Identifier: MIT */
/*
 * Nodes of address spaces. See custos_calls.h for what a slot spans and cap.h
 * for windows. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_GPT_H
#define CUSTOS_KERNEL_GPT_H

#include "cap.h"
#include "list.h"
#include "machine.h"

struct process;

struct bank;

#define GPT_DEPENDENTS 64

/* A table some entries of which were made by walking through the node. */
struct gpt_dependent {
	uint32_t table; /* frame number; 0: unused */
	uint32_t reserved;
	uint64_t generation; /* of the table */
	uint64_t base; /* address in the node of the table's entry 0, mod 2^64 */
};

struct gpt {
	/* The frame's mappers are nodes and slots that lead here. */
	struct cap slots[CUSTOS_GPT_SLOTS];
	struct cap keeper; /* entry, or null */
	struct cap bank;   /* pays for what is made below; null: own bank */
	uint64_t used;	   /* bit i: dependents[i] */
	uint32_t tables;   /* frame number: first table made from it */
	uint8_t l2v;
	bool inner;	   /* made by MAP and in one slot: nobody else has it */
	struct gpt_dependent dependents[GPT_DEPENDENTS];
};

_Static_assert(sizeof(struct gpt) <= PAGE_SIZE, "one frame");

/* An empty node whose slots span 2^l2v bytes each; NULL: refused. */
struct gpt *gpt_make(struct bank *bank, unsigned l2v);

/* Bytes it spans. */
uint64_t gpt_span(const struct gpt *gpt);

/* Who pays for nodes and tables below it. */
struct bank *gpt_bank(struct gpt *gpt);

/* Change a slot; every translation made through it is forgotten. Put: there are
 * none. */
void gpt_put(struct gpt *gpt, unsigned slot, const struct cap *cap);
void gpt_set(struct gpt *gpt, unsigned slot, const struct cap *cap);

/* Free what MAP made in the slot; false: more to do, call again. */
bool gpt_free_below(struct gpt *gpt, unsigned slot);

/* A live memory capability's length in bytes, and the part of it at offset:
 * false when that is not inside. */
uint64_t memory_length(const struct cap *cap);
bool memory_window(const struct cap *from, uint64_t offset, uint64_t length,
	unsigned rights, struct cap *out);

/*
 * Let [va, va + length) below the node be part of memory, making missing nodes
 * from the node's bank. Page-aligned throughout. 0, -CUSTOS_E_REQUEST (not in
 * the span, or something that is no node is in the way) or -CUSTOS_E_LIMIT;
 * CALL_RESTART when there is more to do: call again the same way.
 */
int64_t gpt_map(struct gpt *gpt, uint64_t va, const struct cap *memory,
	uint64_t offset, uint64_t length, unsigned rights);
int64_t gpt_unmap(struct gpt *gpt, uint64_t va, uint64_t length);

/* See GPT split. 0, -CUSTOS_E_LIMIT or -CUSTOS_E_REQUEST; then nothing has
 * changed. */
int gpt_split(struct gpt *gpt, unsigned slot);

/*
 * A tree of pages of zeros for a process that calls: *out spans exactly length
 * (whole pages). 0, -CUSTOS_E_REQUEST, -CUSTOS_E_LIMIT (nothing is left of it;
 * bank_refusal()), or CALL_RESTART.
 */
int64_t memory_create(struct process *process, struct bank *bank,
	uint64_t length, struct cap *out);

/* Destroy the pages and nodes of a tree nobody else has, so many at most; true
 * when none is left. */
bool memory_free(const struct cap *tree, unsigned count);

#endif
