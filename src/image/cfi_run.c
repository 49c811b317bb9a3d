/* SPDX-License-Identifier: MIT */
/* The instructions of an entry: they build the row that holds somewhere. */
#include <dwarf.h>
#include <string.h>

#include "image/cfi.h"

#define REMEMBERED_MAX 8

struct machine {
	const struct cfi_entry *entry;
	struct cfi_cursor code;
	uint64_t at; /* the row's first address so far */
	uint64_t wanted;
	struct cfi_row row;
	const struct cfi_row *initial; /* NULL while running the common part */
	struct cfi_row remembered[REMEMBERED_MAX];
	unsigned depth;
};

static uint64_t uleb(struct machine *m)
{
	return cfi_read_uleb(&m->code);
}

/* Columns that we do not follow take their operands with them. */
static void set(struct machine *m, uint64_t column, struct cfi_rule rule)
{
	if (column < CFI_COLUMNS)
		m->row.columns[column] = rule;
}

static void set_number(struct machine *m, uint64_t column,
	enum cfi_rule_kind kind, int64_t number)
{
	set(m, column, (struct cfi_rule){ .kind = kind, .number = number });
}

static int64_t scaled(const struct machine *m, uint64_t number)
{
	return (int64_t)(number * (uint64_t)m->entry->data_factor);
}

static struct cfi_cursor block(struct machine *m)
{
	uint64_t len = uleb(m);
	struct cfi_cursor all = m->code;

	if (len > (uint64_t)(all.end - all.at)) {
		m->code.bad = true;
		len = 0;
	}
	all.end = all.at + len;
	m->code.at = all.end;
	return all;
}

static void restore(struct machine *m, uint64_t column)
{
	if (m->initial && column < CFI_COLUMNS)
		m->row.columns[column] = m->initial->columns[column];
}

static void advance(struct machine *m, uint64_t delta)
{
	m->at += delta * m->entry->code_factor;
}

static void set_cfa(struct machine *m, uint64_t column, int64_t offset)
{
	m->row.cfa_register = column;
	m->row.cfa = (struct cfi_rule){ .kind = CFI_IS_OFFSET,
		.number = offset };
}

static bool run_cfa(struct machine *m, uint8_t op)
{
	uint64_t column;

	switch (op) {
	case DW_CFA_def_cfa:
		column = uleb(m);
		set_cfa(m, column, (int64_t)uleb(m));
		return true;
	case DW_CFA_def_cfa_sf:
		column = uleb(m);
		set_cfa(m, column,
			scaled(m, (uint64_t)cfi_read_sleb(&m->code)));
		return true;
	case DW_CFA_def_cfa_register:
		set_cfa(m, uleb(m), m->row.cfa.number);
		return true;
	case DW_CFA_def_cfa_offset:
		set_cfa(m, m->row.cfa_register, (int64_t)uleb(m));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		set_cfa(m, m->row.cfa_register,
			scaled(m, (uint64_t)cfi_read_sleb(&m->code)));
		return true;
	case DW_CFA_def_cfa_expression:
		m->row.cfa = (struct cfi_rule){ .kind = CFI_IS_EXPRESSION,
			.expression = block(m) };
		return true;
	default:
		return false;
	}
}

static bool run_state(struct machine *m, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_set_loc:
		m->at = cfi_read(&m->code, 8);
		return true;
	case DW_CFA_advance_loc1:
		advance(m, cfi_read(&m->code, 1));
		return true;
	case DW_CFA_advance_loc2:
		advance(m, cfi_read(&m->code, 2));
		return true;
	case DW_CFA_advance_loc4:
		advance(m, cfi_read(&m->code, 4));
		return true;
	case DW_CFA_remember_state:
		if (m->depth == REMEMBERED_MAX)
			return false;
		m->remembered[m->depth++] = m->row;
		return true;
	case DW_CFA_restore_state:
		if (m->depth == 0)
			return false;
		m->row = m->remembered[--m->depth];
		return true;
	case DW_CFA_GNU_args_size:
		uleb(m);
		return true;
	default:
		return false;
	}
}

/* Operands are read before they are used: their order is the file's. */
static bool run_column(struct machine *m, uint8_t op)
{
	uint64_t column = uleb(m);
	struct cfi_rule rule = { .kind = CFI_UNSPECIFIED };

	switch (op) {
	case DW_CFA_restore_extended:
		restore(m, column);
		return true;
	case DW_CFA_offset_extended:
		set_number(m, column, CFI_AT_OFFSET, scaled(m, uleb(m)));
		return true;
	case DW_CFA_offset_extended_sf:
		set_number(m, column, CFI_AT_OFFSET,
			scaled(m, (uint64_t)cfi_read_sleb(&m->code)));
		return true;
	case DW_CFA_val_offset:
		set_number(m, column, CFI_IS_OFFSET, scaled(m, uleb(m)));
		return true;
	case DW_CFA_val_offset_sf:
		set_number(m, column, CFI_IS_OFFSET,
			scaled(m, (uint64_t)cfi_read_sleb(&m->code)));
		return true;
	case DW_CFA_undefined:
		set_number(m, column, CFI_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_number(m, column, CFI_SAME, 0);
		return true;
	case DW_CFA_register:
		set_number(m, column, CFI_REGISTER, (int64_t)uleb(m));
		return true;
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		rule.kind = op == DW_CFA_expression ? CFI_AT_EXPRESSION
						    : CFI_IS_EXPRESSION;
		rule.expression = block(m);
		set(m, column, rule);
		return true;
	default:
		return false;
	}
}

static bool run_one(struct machine *m)
{
	uint8_t op = (uint8_t)cfi_read(&m->code, 1);

	switch (op & 0xc0) {
	case DW_CFA_advance_loc:
		advance(m, op & 0x3f);
		return true;
	case DW_CFA_offset:
		set_number(m, op & 0x3f, CFI_AT_OFFSET, scaled(m, uleb(m)));
		return true;
	case DW_CFA_restore:
		restore(m, op & 0x3f);
		return true;
	default:
		break;
	}
	return run_cfa(m, op) || run_state(m, op) || run_column(m, op);
}

/* Stops behind the row that holds at wanted. */
static bool run(struct machine *m, struct cfi_cursor code)
{
	struct cfi_row before = m->row;

	m->code = code;
	while (m->code.at < m->code.end) {
		if (!run_one(m) || m->code.bad)
			return false;
		if (m->at > m->wanted) {
			m->row = before;
			return true;
		}
		before = m->row;
	}
	return true;
}

bool cfi_entry_run(const struct cfi_entry *entry, uint64_t address,
	struct cfi_row *out)
{
	struct machine m = { .entry = entry,
		.at = entry->start,
		.wanted = address };
	struct cfi_row initial;

	if (!run(&m, entry->common))
		return false;
	initial = m.row;
	m.initial = &initial;
	if (!run(&m, entry->own))
		return false;
	*out = m.row;
	return out->cfa.kind == CFI_IS_OFFSET ||
		out->cfa.kind == CFI_IS_EXPRESSION;
}
