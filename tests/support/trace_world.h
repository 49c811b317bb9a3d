/* SPDX-License-Identifier: MIT */
/*
 * A run that never was, but could have been: processes that share pages of
 * memory or have their own, now and then other ones, and accesses that load
 * and store what is there. All of it is known, so that what custos says of its
 * trace can be compared with it.
 */
#ifndef CUSTOS_TESTS_SUPPORT_TRACE_WORLD_H
#define CUSTOS_TESTS_SUPPORT_TRACE_WORLD_H

#include <custos/trace.h>

#define WORLD_PROCESSES 3 /* 1 to 3, all of one program */
#define WORLD_PAGES 3 /* of each */
#define WORLD_FRAMES 8
#define WORLD_PAGE 4096
#define WORLD_BASE UINT64_C(0x500000) /* of the first page */
#define WORLD_FRAME UINT64_C(0x100000) /* the first frame's number */

struct world_record {
	struct trace_record r; /* its bytes are the ones below */
	uint8_t old_bytes[8], new_bytes[8], final_bytes[8];
	uint8_t *bound;
};

/* How things are. */
struct world_state {
	uint8_t frames[WORLD_FRAMES][WORLD_PAGE];
	int map[WORLD_PROCESSES + 1][WORLD_PAGES]; /* frame; -1: none */
};

struct world {
	struct world_record *records;
	size_t count, room;
	uint64_t random, seq, time;
	uint64_t started_ns; /* 0: the meta's */
	struct world_state now;
};

extern const struct trace_meta world_meta;

uint64_t world_number(struct world *world, uint64_t below);

/* Records until there are so many accesses; as many again fit behind. */
void world_init(struct world *world, uint64_t seed, uint64_t accesses);
void world_fini(struct world *world);

/* Add an access of process to byte offset of range 0, of 8 bytes: a store of
 * value, or a load of what is there. It becomes record `count - 1'. */
void world_store(struct world *world, uint64_t process, uint64_t offset,
	uint64_t value);
void world_load(struct world *world, uint64_t process, uint64_t offset);

/* The records as a trace. */
void world_write(const struct world *world, const char *path);

/* How things were when all records before index had happened. */
void world_state_at(
	const struct world *world, size_t index, struct world_state *out);

/* The page, and the byte in it, of byte offset of a range. */
unsigned world_page(uint32_t range, uint64_t offset, unsigned *out_at);

#endif
