/* SPDX-License-Identifier: MIT */
#include "trace/trace_start.h"

#include <errno.h>
#include <stdlib.h>

#include "base/invariant.h"

#define ARGS_MAX 65536
#define RANGES_MAX (1 << 20)

/* ---- START ---- */

void trace_start_pack(struct pack_out *out, const struct trace_start *start)
{
	pack_string(out, start->directory);
	pack_varint(out, start->memory);
	pack_varint(out, start->flags);
	pack_string(out, start->kernel);
	pack_u64(out, start->kernel_hash);
	pack_varint(out, start->arg_count);
	for (uint32_t i = 0; i < start->arg_count; i++)
		pack_string(out, start->args[i]);
	pack_varint(out, start->range_count);
	for (uint32_t i = 0; i < start->range_count; i++) {
		pack_varint(out, start->ranges[i].id);
		pack_byte(out, start->ranges[i].joined);
		pack_string(out, start->ranges[i].device);
	}
}

void trace_start_destroy(const struct trace_start *start)
{
	if (!start)
		return;
	for (uint32_t i = 0; i < start->arg_count; i++)
		free((char *)start->args[i]);
	for (uint32_t i = 0; i < start->range_count; i++)
		free((char *)start->ranges[i].device);
	free((const char **)start->args);
	free((struct trace_start_range *)start->ranges);
	free((char *)start->directory);
	free((char *)start->kernel);
	free((struct trace_start *)start);
}

/* How many entries of at least `least' bytes follow; 0 when it cannot be. */
static uint32_t unpack_count(struct pack_in *in, uint64_t max, uint64_t least)
{
	uint64_t count = unpack_bounded(in, max);

	if (count > (uint64_t)(in->end - in->at) / least)
		in->failed = true;
	return in->failed ? 0 : (uint32_t)count;
}

static void unpack_args(struct pack_in *in, struct trace_start *out)
{
	uint32_t count = unpack_count(in, ARGS_MAX, 1);
	char **args = calloc(count + (size_t)1, sizeof(*args));

	if (!args) {
		in->failed = true;
		return;
	}
	out->args = (const char *const *)args;
	out->arg_count = count;
	for (uint32_t i = 0; i < count; i++)
		args[i] = trace_unpack_string(in);
}

static void unpack_ranges(struct pack_in *in, struct trace_start *out)
{
	uint32_t count = unpack_count(in, RANGES_MAX, 3);
	struct trace_start_range *ranges =
		calloc(count + (size_t)1, sizeof(*ranges));

	if (!ranges) {
		in->failed = true;
		return;
	}
	out->ranges = ranges;
	out->range_count = count;
	for (uint32_t i = 0; i < count; i++) {
		ranges[i].id = (uint32_t)unpack_bounded(in, UINT32_MAX);
		ranges[i].joined = unpack_byte(in);
		ranges[i].device = trace_unpack_string(in);
	}
}

const struct trace_start *trace_start_unpack(struct pack_in *in)
{
	struct trace_start *start = calloc(1, sizeof(*start));

	if (!start)
		return NULL;
	start->directory = trace_unpack_string(in);
	start->memory = unpack_varint(in);
	start->flags = (uint32_t)unpack_bounded(in, UINT32_MAX);
	start->kernel = trace_unpack_string(in);
	start->kernel_hash = unpack_u64(in);
	unpack_args(in, start);
	unpack_ranges(in, start);
	if (!in->failed)
		return start;
	trace_start_destroy(start);
	return NULL;
}

/* ---- INPUTS ---- */

static void pack_body(struct pack_out *out, const struct trace_input *input)
{
	switch (input->kind) {
	case TRACE_INPUT_ORDER:
		pack_varint(out, input->process);
		pack_varint(out, input->other);
		return;
	case TRACE_INPUT_ANSWER:
		pack_varint(out, input->seq);
		pack_varint(out, input->range);
		pack_byte(out, (uint8_t)input->answer);
		pack_varint(out, input->address);
		pack_varint(out, input->value);
		pack_bytes(out, input->bytes, input->size);
		return;
	case TRACE_INPUT_WRITE:
		pack_varint(out, input->seq);
		pack_varint(out, input->process);
		pack_varint(out, input->address);
		pack_bytes(out, input->bytes, input->size);
		return;
	case TRACE_INPUT_KEEP:
		pack_varint(out, input->range);
		pack_varint(out, input->value);
		return;
	case TRACE_INPUT_RELEASE:
	case TRACE_INPUT_REVOKE:
		pack_varint(out, input->range);
		return;
	case TRACE_INPUT_TURN:
		pack_varint(out, input->cpu);
		return;
	case TRACE_INPUT_STATE:
		pack_u64(out, input->value);
		return;
	case TRACE_INPUT_KIND_MAX:
		break;
	}
	unreachable_state();
}

#define HEAD_MAX 64 /* of a body, beside its bytes */

void trace_input_pack(struct pack_out *out, const struct trace_input *input,
	uint64_t records)
{
	uint8_t small[HEAD_MAX + 4096];
	struct pack_out body = { .data = small, .capacity = sizeof(small) };
	bool fits = input->size <= sizeof(small) - HEAD_MAX;

	if (!fits)
		body = (struct pack_out){ 0 };
	pack_body(&body, input);
	out->failed |= body.failed;
	pack_byte(out, (uint8_t)input->kind);
	pack_varint(out, records);
	pack_varint(out, body.len);
	pack_bytes(out, body.data, body.len);
	if (!fits)
		trace_pack_fini(&body);
}

static void take_bytes(struct pack_in *in, struct trace_input *out)
{
	uint64_t left = (uint64_t)(in->end - in->at);

	if (left > TRACE_ACCESS_SIZE_MAX)
		in->failed = true;
	out->size = (uint32_t)left;
	out->bytes = in->at;
	in->at = in->end;
}

static void unpack_answer(struct pack_in *in, struct trace_input *out)
{
	out->seq = unpack_varint(in);
	out->range = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->answer = unpack_byte(in);
	out->address = unpack_varint(in);
	out->value = unpack_varint(in);
	take_bytes(in, out);
}

/* False: a kind that is not known here. */
static bool unpack_body(struct pack_in *in, struct trace_input *out)
{
	switch (out->kind) {
	case TRACE_INPUT_ORDER:
		out->process = unpack_varint(in);
		out->other = unpack_varint(in);
		return true;
	case TRACE_INPUT_ANSWER:
		unpack_answer(in, out);
		return true;
	case TRACE_INPUT_WRITE:
		out->seq = unpack_varint(in);
		out->process = unpack_varint(in);
		out->address = unpack_varint(in);
		take_bytes(in, out);
		return true;
	case TRACE_INPUT_KEEP:
		out->range = (uint32_t)unpack_bounded(in, UINT32_MAX);
		out->value = unpack_varint(in);
		return true;
	case TRACE_INPUT_RELEASE:
	case TRACE_INPUT_REVOKE:
		out->range = (uint32_t)unpack_bounded(in, UINT32_MAX);
		return true;
	case TRACE_INPUT_TURN:
		out->cpu = (uint32_t)unpack_bounded(in, UINT32_MAX);
		return true;
	case TRACE_INPUT_STATE:
		out->value = unpack_u64(in);
		return true;
	case TRACE_INPUT_KIND_MAX:
		break;
	}
	return false;
}

int trace_input_unpack(struct pack_in *in, struct trace_input *out)
{
	struct pack_in body;
	uint64_t len;
	bool known;

	*out = (struct trace_input){ .kind = unpack_byte(in) };
	out->record = unpack_varint(in);
	len = unpack_varint(in);
	body.at = unpack_bytes(in, len);
	if (in->failed || !body.at)
		return -EBADMSG;
	body.end = body.at + len;
	body.failed = false;
	known = unpack_body(&body, out);
	return body.failed ? -EBADMSG : known;
}
