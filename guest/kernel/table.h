/* SPDX-License-Identifier: MIT */
/*
 * Mapping tables below the top one, and the undoing of translations. A table is
 * derived from a producer: the deepest node on the way to it that shows all the
 * addresses the table spans (else the process), the address in the producer of
 * entry 0, and the rights of the way there; spaces whose ways have these in
 * common share it. Found by the producer's list.
 *
 * Undoing is exact and needs no memory: nodes know the tables made through them
 * (gpt.h dependents), frames know the entries that lead to them (frame.h
 * mappers); where such a record has no room an older translation is undone, to
 * be made again when it is missed. Undone entries are flushed and the monitor is
 * told by table_flush(), before any frame is freed and before the lock is
 * released. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_TABLE_H
#define CUSTOS_KERNEL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "gpt.h"

/* Undo what leads to the frame (page or table). */
void table_unmap_frame(uint64_t gpa);

/* Undo what was made through addresses [from, to) of the node. */
void table_unmap_node(struct gpt *gpt, uint64_t from, uint64_t to);

/* End all tables derived from this producer. false: more to do. */
bool table_end_produced(uint32_t *list);

/* What was undone since the last time is forgotten by every TLB and told to the
 * monitor. Nothing when nothing was. */
void table_flush(void);

#endif
