/* SPDX-License-Identifier: MIT */
/*
 * Physical frames and what each is used for. Every frame in use is the kernel's
 * own or belongs to one bank (bank.h), of which only that file takes and gives
 * frames. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_FRAME_H
#define CUSTOS_KERNEL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

struct bank;

enum frame_type {
	FRAME_FREE,
	FRAME_KERNEL, /* for ever */
	FRAME_BANK,
	FRAME_PAGE,
	FRAME_CAPPAGE,
	FRAME_GPT,
	FRAME_ENDPOINT,
	FRAME_PROCESS, /* the first of its run, .. */
	FRAME_REST,    /* ..the others */
	FRAME_BUFFER,
	FRAME_TABLE,	  /* a mapping table */
	FRAME_ATTRIBUTES, /* of a page with a keeper */
	FRAME_TYPES
};

/* Mappings of a frame that are known at a time: table.h. */
#define FRAME_MAPPERS 16

/* An entry of a mapping table that leads to the frame. */
struct frame_mapper {
	uint32_t table; /* number of the table's frame; 0: none */
	uint32_t index;
};

/* By frame number from the first managed frame, which is number 1. */
struct frame_info {
	struct bank *bank;   /* NULL: free, or the kernel's */
	uint64_t generation; /* of the object; never used twice */
	uint32_t next, prev; /* frames of the same bank, or free ones; 0: end */
	uint8_t type;	     /* enum frame_type */
	uint8_t level;	     /* table: 1..3 */
	uint8_t rights;	     /* table: of the way to it, R W X and CALL */
	uint8_t mapper_next; /* which mapper gives way */
	/* page: number of its FRAME_ATTRIBUTES frame, 0: none */
	uint32_t attributes;
	struct frame_mapper mappers[FRAME_MAPPERS];
	/* table: what it is derived from, see table.h */
	uint64_t producer_offset;
	uint32_t producer;	/* frame number of a gpt or process */
	uint32_t producer_next; /* next table of that producer */
};

/* Manage [base, base + size), all zeros, of which the table of infos takes its
 * share. Runs (below) will all have run_frames frames. */
void frame_init(uint64_t base, uint64_t size, unsigned run_frames);

/* For bank.c and boot. 0: none left. Taken frames have a new generation. */
uint64_t frame_take(enum frame_type type, bool zeros);
uint64_t frame_run_take(enum frame_type type); /* zeros */
void frame_give(uint64_t gpa);
void frame_run_give(uint64_t gpa);
unsigned frame_run_length(void);

/* Constant after frame_init; for what follows. */
struct frame_map {
	uint64_t base, end;	  /* gpa of managed frames */
	uint8_t *first;		  /* frame number 1 */
	struct frame_info *infos; /* by frame number */
};

extern struct frame_map frame_map;

/* Whether gpa is in one of the frames managed here. */
static inline bool frame_is_managed(uint64_t gpa)
{
	return gpa - frame_map.base < frame_map.end - frame_map.base;
}

/* Of a managed one. */
static inline uint32_t frame_number(uint64_t gpa)
{
	return (uint32_t)((gpa - frame_map.base) >> 12) + 1;
}

static inline uint64_t frame_gpa(uint32_t number)
{
	return frame_map.base + ((uint64_t)(number - 1) << 12);
}

static inline struct frame_info *frame_info_at(uint32_t number)
{
	return &frame_map.infos[number];
}

static inline struct frame_info *frame_info(uint64_t gpa)
{
	return frame_info_at(frame_number(gpa));
}

/* The frame in which an object begins. */
static inline uint32_t frame_number_of(const void *object)
{
	return (uint32_t)((uint64_t)((const uint8_t *)object -
				  frame_map.first) >>
			  12) +
	       1;
}

/* Is this still the object that had this generation? */
static inline bool frame_is_live(const void *object, uint64_t generation)
{
	return frame_info_at(frame_number_of(object))->generation == generation;
}

/* One that no object has had. */
uint64_t frame_new_generation(void);

uint64_t frame_count_free(void);
uint64_t frame_count_kernel(void); /* taken as FRAME_KERNEL, infos included */
uint64_t frame_count_all(void);

#endif
