/* SPDX-License-Identifier: MIT */
/* What built-in keepers remember of an access, to tell of it later. */
#ifndef CUSTOS_KEEPER_BUILTIN_SIGHTING_H
#define CUSTOS_KEEPER_BUILTIN_SIGHTING_H

#include "keeper/builtin.h"

#define BUILTIN_SIGHTING_FRAMES 16

struct builtin_sighting {
	uint64_t seq, process, ip;
	char process_name[32];
	enum access_kind kind;
	uint32_t size;
	unsigned cpu;
	bool atomic, copy;
	size_t frame_count;
	uint64_t frames[BUILTIN_SIGHTING_FRAMES];
};

/* From told() or access() only: asks for the stack. */
void builtin_sighting_take(struct builtin_sighting *out,
	const struct builtin_host *host, const struct access *access);

/* "atomic store by ring.elf#1 at main+0x1c (ring.c:12)" */
void builtin_sighting_describe(const struct builtin_sighting *sighting,
	const struct builtin_host *host, struct buf *out);

/* What it was, on a line of its own, and its stack below. */
void builtin_sighting_describe_stack(const struct builtin_sighting *sighting,
	const struct builtin_host *host, struct buf *out);

/* The same for the same instruction of the same program. */
uint64_t builtin_sighting_place(const char *process_name, uint64_t ip);

#endif
