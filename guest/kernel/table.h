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
 * be made again when it is missed. Undone entries are flushed by
 * table_flush(), before any frame is freed and before the lock is released; and
 * when what an address leads to has changed, not only whether it is mapped, the
 * monitor is told there. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_TABLE_H
#define CUSTOS_KERNEL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "gpt.h"

/* Hardware layout. */
#define PTE_PRESENT UINT64_C(0x001)
#define PTE_WRITE UINT64_C(0x002)
#define PTE_USER UINT64_C(0x004)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)
#define PTE_NO_EXECUTE (UINT64_C(1) << 63)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER)
#define TABLE_ENTRIES 512u
#define TABLE_TOP 4u /* level of a process's own */

/* Log2 of the bytes that an entry of a table of that level spans; its own span
 * is that of level + 1. */
static inline unsigned table_shift(unsigned level)
{
	return 3 + 9 * level;
}

/* Changes whenever a table, or an entry that leads to one, goes. */
extern uint64_t table_epoch;
/* Counts what was undone. */
extern uint64_t table_undone;

struct table_key {
	uint32_t producer; /* frame number of a gpt or process */
	uint8_t level;
	uint8_t rights;
	uint64_t offset; /* in the producer, of entry 0 */
};

/* The table of that key; a new one is paid by bank. gpa, 0: refused. */
uint64_t table_get(const struct table_key *key, struct bank *bank);

/* Remember that the entry of a table leads to the frame (page or table), which
 * is managed. Before the entry is made. */
void table_add_mapper(uint64_t gpa, uint32_t table, unsigned index);

/* Remember that entries of the table (frame number) are made through the node,
 * in which the table's entry 0 is at base. Before they are made. */
void table_add_dependent(struct gpt *gpt, uint32_t table, uint64_t base);

/* Undo one entry. */
void table_clear(uint32_t table, unsigned index);

/* Can only one space use the table? Then where it is there. */
bool table_is_private(uint32_t table, uint64_t *out_cr3, uint64_t *out_va);

/* Undo what leads to the frame (page or table). */
void table_unmap_frame(uint64_t gpa);

/* Undo what was made through addresses [from, to) of the node. */
void table_unmap_node(struct gpt *gpt, uint64_t from, uint64_t to);

/* End all tables derived from this producer. false: more to do. */
bool table_end_produced(uint32_t *list);

/* What some address leads to is not what it was. */
void table_changed(void);

/* What was undone since the last time is forgotten by every TLB. Nothing when
 * nothing was. Then table_tell(). */
void table_flush(void);

/* Tell the monitor, if it wants to know, that something changed since the last
 * time, and answer what it asks. */
void table_tell(void);

#endif
