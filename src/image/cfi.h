/* SPDX-License-Identifier: MIT */
/*
 * Call frame information (DWARF 5, 6.4; LSB for .eh_frame): how each register
 * of the caller is found from any instruction. Read here rather than by libdw,
 * which allocates for whatever register number a file names. Pure: bytes in,
 * rules out.
 */
#ifndef CUSTOS_IMAGE_CFI_H
#define CUSTOS_IMAGE_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CFI_RBX 3
#define CFI_RBP 6
#define CFI_RSP 7
#define CFI_RIP 16
#define CFI_COLUMNS 17 /* psABI figure 3.36: rax rdx rcx rbx ... rip */

/* Bytes being read; running over their end makes it bad and reads zeros. */
struct cfi_cursor {
	const uint8_t *at, *end;
	bool bad;
};

/* Little-endian, size 1, 2, 4 or 8. */
uint64_t cfi_read(struct cfi_cursor *cursor, unsigned size);
int64_t cfi_read_signed(struct cfi_cursor *cursor, unsigned size);
uint64_t cfi_read_uleb(struct cfi_cursor *cursor);
int64_t cfi_read_sleb(struct cfi_cursor *cursor);

enum cfi_rule_kind {
	CFI_UNSPECIFIED, /* the compiler did not say: as if the same */
	CFI_UNDEFINED,
	CFI_SAME,
	CFI_AT_OFFSET, /* saved at CFA + number */
	CFI_IS_OFFSET, /* is CFA + number */
	CFI_REGISTER, /* is in register number */
	CFI_AT_EXPRESSION,
	CFI_IS_EXPRESSION,
};

struct cfi_rule {
	enum cfi_rule_kind kind;
	int64_t number;
	struct cfi_cursor expression;
};

/* The rules that hold at one instruction. */
struct cfi_row {
	uint64_t cfa_register; /* when cfa.kind is CFI_IS_OFFSET */
	struct cfi_rule cfa; /* CFI_IS_OFFSET or CFI_IS_EXPRESSION */
	struct cfi_rule columns[CFI_COLUMNS];
};

/* One function's description. */
struct cfi_entry {
	uint64_t start, end; /* of the code it is about */
	bool is_signal; /* its caller did not call: it was interrupted */
	struct cfi_cursor common, own; /* instructions */
	uint64_t code_factor;
	int64_t data_factor;
};

struct cfi_table {
	struct cfi_entry *entries; /* by start, once sorted */
	size_t count, capacity;
};

/*
 * Add what a section says that is loaded at address va (.eh_frame) or has
 * plain addresses (.debug_frame). Entries that make no sense are left out.
 */
void cfi_table_add(struct cfi_table *table, const uint8_t *bytes, size_t size,
	uint64_t va, bool eh_frame);
void cfi_table_sort(struct cfi_table *table);
void cfi_table_fini(struct cfi_table *table);

/* The entry about address, or NULL. */
const struct cfi_entry *cfi_table_find(
	const struct cfi_table *table, uint64_t address);

/* The rules at address, which entry is about. False when it is damaged. */
bool cfi_entry_run(const struct cfi_entry *entry, uint64_t address,
	struct cfi_row *out);

#endif
