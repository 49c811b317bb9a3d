/* SPDX-License-Identifier: MIT */
#include "trace/trace_stage.h"

#include <string.h>

/* What every record has, then its pieces, each rounded up to 8 bytes. */
struct staged {
	uint32_t need;
	uint32_t kind;
	uint64_t time_ns;
	uint64_t process;
};

struct staged_access {
	struct staged head;
	uint64_t seq, address, offset;
	uint32_t size, range, kept_first, kept_count;
	uint32_t lane_count, cpu, site, stack_count;
	uint8_t kind, outcome;
	bool atomic, has_old, has_new, has_regs;
	uint8_t final; /* enum staged_final */
};

struct staged_event {
	struct staged head;
	uint64_t offset, size, count, frame;
	int64_t exit_code;
	uint32_t program, range;
	uint32_t text; /* bytes with its NUL; 0: none */
	bool has_bytes;
};

enum staged_final { STAGED_NONE, STAGED_OLD, STAGED_NEW, STAGED_OWN };

static size_t rounded(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static enum staged_final final_of(const struct trace_record *r)
{
	if (!r->final_bytes)
		return STAGED_NONE;
	if (r->final_bytes == r->access.new_bytes)
		return STAGED_NEW;
	return r->final_bytes == r->access.old_bytes ? STAGED_OLD : STAGED_OWN;
}

static const char *text_of(const struct trace_record *r)
{
	return r->kind == TRACE_PROCESS_START ? r->process_name : r->text;
}

static size_t need_access(const struct trace_record *r)
{
	const struct access *a = &r->access;
	size_t size = rounded(a->size);
	size_t need = sizeof(struct staged_access);

	need += a->old_bytes ? size : 0;
	need += a->new_bytes ? size : 0;
	need += final_of(r) == STAGED_OWN ? size : 0;
	need += a->lane_count * sizeof(struct access_lane);
	need += r->regs ? TRACE_REGS * sizeof(uint64_t) : 0;
	return need + r->stack_count * sizeof(uint64_t);
}

static size_t need_event(const struct trace_record *r)
{
	const char *text = text_of(r);

	return sizeof(struct staged_event) +
		(text ? rounded(strlen(text) + 1) : 0) +
		(r->kind == TRACE_BIND && r->bytes ? rounded(r->size) : 0);
}

size_t trace_stage_need(const struct trace_record *r)
{
	return r->kind == TRACE_ACCESS ? need_access(r) : need_event(r);
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	/* Most values have 8 bytes or less: no call for them. */
	if (size == 8)
		memcpy(at, bytes, 8);
	else if (size == 4)
		memcpy(at, bytes, 4);
	else
		memcpy(at, bytes, size);
	return at + rounded(size);
}

static void add_access(uint8_t *at, const struct trace_record *r, size_t need,
	uint32_t site)
{
	const struct access *a = &r->access;
	struct staged_access *s = (struct staged_access *)at;

	*s = (struct staged_access){
		.head = { (uint32_t)need, TRACE_ACCESS, r->time_ns,
			a->process },
		.seq = a->seq,
		.address = a->address,
		.offset = a->offset,
		.size = a->size,
		.range = a->range,
		.kept_first = a->kept_first,
		.kept_count = a->kept_count,
		.lane_count = a->lane_count,
		.cpu = a->cpu,
		.site = site,
		.stack_count = r->stack_count,
		.kind = (uint8_t)a->kind,
		.outcome = (uint8_t)r->outcome,
		.atomic = a->atomic,
		.has_old = a->old_bytes,
		.has_new = a->new_bytes,
		.has_regs = r->regs,
		.final = (uint8_t)final_of(r),
	};
	at += sizeof(*s);
	if (a->old_bytes)
		at = put(at, a->old_bytes, a->size);
	if (a->new_bytes)
		at = put(at, a->new_bytes, a->size);
	if (s->final == STAGED_OWN)
		at = put(at, r->final_bytes, a->size);
	if (a->lane_count)
		at = put(at, a->lanes, a->lane_count * sizeof(*a->lanes));
	if (r->regs)
		at = put(at, r->regs, TRACE_REGS * sizeof(uint64_t));
	if (r->stack_count)
		put(at, r->stack, r->stack_count * sizeof(uint64_t));
}

static void add_event(uint8_t *at, const struct trace_record *r, size_t need)
{
	const char *text = text_of(r);
	struct staged_event *s = (struct staged_event *)at;

	*s = (struct staged_event){
		.head = { (uint32_t)need, r->kind, r->time_ns, r->process },
		.offset = r->offset,
		.size = r->size,
		.count = r->count,
		.frame = r->frame,
		.exit_code = r->exit_code,
		.program = r->program,
		.range = r->range,
		.text = text ? (uint32_t)strlen(text) + 1 : 0,
		.has_bytes = r->kind == TRACE_BIND && r->bytes,
	};
	at += sizeof(*s);
	if (text)
		at = put(at, text, s->text);
	if (s->has_bytes)
		put(at, r->bytes, r->size);
}

void trace_stage_add(struct trace_stage *stage, const struct trace_record *r,
	size_t need, uint32_t site)
{
	uint8_t *at = stage->bytes + stage->len;

	if (r->kind == TRACE_ACCESS)
		add_access(at, r, need, site);
	else
		add_event(at, r, need);
	stage->len += need;
	stage->records++;
}

static const void *take(const uint8_t **at, size_t size)
{
	const uint8_t *bytes = *at;

	*at += rounded(size);
	return bytes;
}

static void take_access(const uint8_t *at, struct trace_record *out)
{
	const struct staged_access *s = (const struct staged_access *)at;
	struct access *a = &out->access;

	*a = (struct access){
		.seq = s->seq,
		.kind = s->kind,
		.atomic = s->atomic,
		.address = s->address,
		.size = s->size,
		.range = s->range,
		.offset = s->offset,
		.kept_first = s->kept_first,
		.kept_count = s->kept_count,
		.lane_count = s->lane_count,
		.cpu = s->cpu,
		.process = s->head.process,
	};
	out->seq = s->seq;
	out->outcome = s->outcome;
	out->site = s->site;
	out->stack_count = s->stack_count;
	out->final_bytes = NULL;
	out->regs = out->stack = NULL;
	at += sizeof(*s);
	if (s->has_old)
		a->old_bytes = take(&at, a->size);
	if (s->has_new)
		a->new_bytes = take(&at, a->size);
	if (s->final == STAGED_OLD)
		out->final_bytes = a->old_bytes;
	else if (s->final == STAGED_NEW)
		out->final_bytes = a->new_bytes;
	else if (s->final == STAGED_OWN)
		out->final_bytes = take(&at, a->size);
	if (a->lane_count)
		a->lanes = take(&at, a->lane_count * sizeof(*a->lanes));
	if (s->has_regs)
		out->regs = take(&at, TRACE_REGS * sizeof(uint64_t));
	if (s->stack_count)
		out->stack = take(&at, s->stack_count * sizeof(uint64_t));
}

static void take_event(const uint8_t *at, struct trace_record *out)
{
	const struct staged_event *s = (const struct staged_event *)at;
	const char *text = NULL;

	at += sizeof(*s);
	if (s->text)
		text = take(&at, s->text);
	out->process = s->head.process;
	out->offset = s->offset;
	out->size = s->size;
	out->count = s->count;
	out->frame = s->frame;
	out->exit_code = s->exit_code;
	out->program = s->program;
	out->range = s->range;
	out->text = text;
	out->process_name = text;
	out->bytes = s->has_bytes ? take(&at, s->size) : NULL;
}

bool trace_stage_next(const struct trace_stage *stage, size_t *at,
	struct trace_record *out)
{
	const struct staged *head;

	if (*at == stage->len)
		return false;
	head = (const struct staged *)(stage->bytes + *at);
	out->kind = head->kind;
	out->time_ns = head->time_ns;
	if (out->kind == TRACE_ACCESS)
		take_access(stage->bytes + *at, out);
	else
		take_event(stage->bytes + *at, out);
	*at += head->need;
	return true;
}
