/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_sighting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void builtin_sighting_take(struct builtin_sighting *out,
	const struct builtin_host *host, const struct access *access)
{
	*out = (struct builtin_sighting){
		.seq = access->seq,
		.process = access->process,
		.ip = access->ip,
		.kind = access->kind,
		.size = access->size,
		.cpu = access->cpu,
		.atomic = access->atomic,
		.copy = !access->insn,
	};
	snprintf(out->process_name, sizeof(out->process_name), "%s",
		access->process_name);
	if (host->stack && access->insn)
		out->frame_count = host->stack(
			host->ctx, out->frames, BUILTIN_SIGHTING_FRAMES);
}

/* As much of the access as those who describe look at. */
static struct access access_of(const struct builtin_sighting *sighting)
{
	static const uint8_t some_insn[1];

	return (struct access){
		.kind = sighting->kind,
		.process = sighting->process,
		.process_name = sighting->process_name,
		.ip = sighting->ip,
		.insn = sighting->copy ? NULL : some_insn,
	};
}

static size_t remembered_stack(void *ctx, uint64_t *out_ips, size_t max)
{
	const struct builtin_sighting *sighting = ctx;
	size_t count =
		sighting->frame_count < max ? sighting->frame_count : max;

	memcpy(out_ips, sighting->frames, count * sizeof(*out_ips));
	return count;
}

void builtin_sighting_describe(const struct builtin_sighting *sighting,
	const struct builtin_host *host, struct buf *out)
{
	const struct access access = access_of(sighting);

	buf_printf(out, "%s%s by ", sighting->atomic ? "atomic " : "",
		access_kind_name(sighting->kind));
	builtin_describe_who(host, &access, out);
}

void builtin_sighting_describe_stack(const struct builtin_sighting *sighting,
	const struct builtin_host *host, struct buf *out)
{
	const struct access access = access_of(sighting);
	struct builtin_sighting copy = *sighting;
	struct builtin_host remembering = *host;

	remembering.stack = remembered_stack;
	remembering.ctx = &copy;
	buf_printf(out,
		"  %s%s of %" PRIu32 " bytes by %s#%" PRIu64 " on cpu %u, "
		"access %" PRIu64 ":\n",
		sighting->atomic ? "atomic " : "",
		access_kind_name(sighting->kind), sighting->size,
		sighting->process_name, sighting->process, sighting->cpu,
		sighting->seq);
	builtin_describe_stack(&remembering, &access, out);
}

uint64_t builtin_sighting_place(const char *process_name, uint64_t ip)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *process_name; process_name++)
		hash = (hash ^ (uint8_t)*process_name) *
			UINT64_C(0x100000001b3);
	hash = (hash ^ ip) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}
