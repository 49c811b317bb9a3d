/* SPDX-License-Identifier: MIT */
/* Records as people read them. */
#include <inttypes.h>
#include <string.h>

#include "cli/trace_query.h"

void trace_query_at(struct trace_query *q, const struct trace_record *record)
{
	q->site = record->kind == TRACE_ACCESS
		? trace_reader_site(q->reader, record->site)
		: NULL;
}

void trace_query_line(struct trace_query *q, const struct trace_record *record,
	struct buf *out)
{
	trace_query_at(q, record);
	trace_access_text(&record->access, record->outcome,
		record->final_bytes, &q->callbacks, out);
}

void trace_query_stack(struct trace_query *q,
	const struct trace_record *record, const char *indent,
	struct buf *out)
{
	const struct trace_names *names = names_callbacks(q->names);
	uint64_t process = record->access.process;

	for (uint32_t i = 0; record->stack && i < record->stack_count; i++) {
		struct buf word = BUF_INIT;

		buf_printf(out, "%sfrom 0x%" PRIx64, indent,
			record->stack[i]);
		names->symbol(names->ctx, process, record->stack[i], &word);
		if (word.len && strncmp(buf_str(&word), "0x", 2)) {
			buf_add_char(out, ' ');
			trace_add_clean(out, word.data, word.len);
		}
		buf_reset(&word);
		/* The call is before the address it returns to. */
		names->line(names->ctx, process, record->stack[i] - 1, &word);
		if (word.len) {
			buf_add_str(out, " (");
			trace_add_clean(out, word.data, word.len);
			buf_add_char(out, ')');
		}
		buf_add_char(out, '\n');
		buf_fini(&word);
	}
}

void trace_add_time(struct buf *out, uint64_t ns)
{
	buf_printf(out, "%" PRIu64 ".%09" PRIu64 " s", ns / 1000000000,
		ns % 1000000000);
}

void trace_add_value(struct buf *out, const uint8_t *bytes, uint64_t size)
{
	uint64_t value = 0;

	if (size > 8) {
		buf_add_hex(out, bytes, size);
		return;
	}
	memcpy(&value, bytes, size); /* little endian, as the CPU */
	buf_printf(out, "0x%" PRIx64, value);
}

const uint8_t *trace_stored_bytes(const struct trace_record *record)
{
	switch (record->access.kind) {
	case ACCESS_STORE:
	case ACCESS_RMW:
	case ACCESS_IPC_DST:
	case ACCESS_SYSCALL_STORE:
		break;
	default:
		return NULL;
	}
	switch (record->outcome) {
	case OUTCOME_PASS:
	case OUTCOME_SERVE:
	case OUTCOME_STEP:
		return record->final_bytes ? record->final_bytes :
					     record->access.new_bytes;
	default:
		return NULL;
	}
}
