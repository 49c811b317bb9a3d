/* SPDX-License-Identifier: MIT */
/*
 * Physical frames the kernel may hand out. Every frame in use has one owner,
 * the kernel object it was allocated for. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_FRAME_H
#define CUSTOS_KERNEL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* Manage [base, base + size), all zeros, of which the owner table takes its
 * share. Runs (below) will all have run_frames frames. */
void frame_init(uint64_t base, uint64_t size, unsigned run_frames);

/* A frame of zeros, or 0 when none is left. */
uint64_t frame_alloc(void *owner);

/* The same without the zeros, for who fills it whole. */
uint64_t frame_alloc_dirty(void *owner);

void frame_free(uint64_t gpa);

/* run_frames frames in a row, zeros, or 0 when there are none. */
uint64_t frame_run_alloc(void *owner);
void frame_run_free(uint64_t gpa);

void *frame_owner(uint64_t gpa);
void frame_set_owner(uint64_t gpa, void *owner);

/* Whether gpa is one of the frames managed here. */
bool frame_is_managed(uint64_t gpa);

uint64_t frame_count_free(void);

#endif
