/* SPDX-License-Identifier: MIT */
#include "tests/support/trace_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const struct trace_program programs[] = {
	{ .name = "one.elf", .path = "/tmp/one.elf", .hash = 1 },
	{ .name = "two.elf", .path = "/tmp/two.elf", .hash = 2 },
};

static const struct trace_range ranges[] = {
	{ .id = 0, .name = "ring", .address = 0x500000, .length = 4096 },
	{ .id = 1, .name = "two!x", .program = 1, .address = 0x500000,
		.length = 0x10000 },
	{ .id = 2, .name = "device:d+4096", .device = true, .length = 4096 },
};

const struct trace_meta trace_random_meta = {
	.command = "custos run one.elf",
	.kvm = "svm",
	.cpus = 2,
	.started_ns = 1700000000000000000,
	.script_hash = 0x123456789abcdef0,
	.programs = programs,
	.program_count = 2,
	.ranges = ranges,
	.range_count = 3,
};

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	(void)ctx;
	(void)access;
	site->symbol = "main+0x1";
	site->line = "file.c:1";
	site->text = "nop";
}

const struct trace_site_names trace_random_names = { .name = name_site };

void trace_random_init(struct trace_random *random, uint64_t seed)
{
	memset(random, 0, sizeof(*random));
	random->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

uint64_t trace_random_number(struct trace_random *random, uint64_t below)
{
	uint64_t x = random->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random->state = x;
	return below ? x % below : x;
}

#define BELOW(n) trace_random_number(random, n)

static void fill(struct trace_random *random, uint8_t *bytes, size_t size)
{
	uint64_t how = BELOW(4);
	uint64_t value = how == 0 ? BELOW(0) : BELOW(300);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(how == 1 ? BELOW(256) :
						value >> (i % 8 * 8));
}

static void make_lanes(struct trace_random *random, struct access *a)
{
	a->lane_count = (uint32_t)BELOW(16) + 1;
	a->lanes = random->lanes;
	a->size = a->lane_count * 4;
	for (uint32_t i = 0; i < a->lane_count; i++)
		random->lanes[i] = (struct access_lane){
			.address = 0x500000 + BELOW(4096),
			.size = 4,
			.offset = i * 4,
		};
	a->address = random->lanes[0].address;
}

static uint32_t make_size(struct trace_random *random)
{
	switch (BELOW(12)) {
	case 0:
		return (uint32_t)BELOW(65);
	case 1:
		return (uint32_t)BELOW(4096);
	default:
		return 1u << BELOW(4);
	}
}

static void make_extras(struct trace_random *random, struct trace_record *r)
{
	if (BELOW(3) == 0) {
		r->regs = random->regs;
		for (int i = 0; i < TRACE_REGS; i++)
			if (BELOW(4) == 0)
				random->regs[i] += BELOW(2) ? 8 : BELOW(0);
	}
	if (BELOW(3) == 0) {
		r->stack = random->stack;
		r->stack_count = (uint32_t)BELOW(TRACE_STACK_MAX + 1);
		for (uint32_t i = 0; i < r->stack_count; i++)
			random->stack[i] = BELOW(2) ? 0x401000 + i : BELOW(0);
	}
}

static void make_access(struct trace_random *random)
{
	struct trace_record *r = &random->record;
	struct access *a = &r->access;
	uint64_t site = BELOW(BELOW(20) ? 8 : 300);

	random->seq += BELOW(10) ? 1 : BELOW(3);
	*a = (struct access){
		.seq = random->seq,
		.kind = (enum access_kind)BELOW(ACCESS_KIND_MAX),
		.atomic = BELOW(10) == 0,
		.address = 0x500000 + BELOW(BELOW(3) ? 64 : 8192),
		.size = make_size(random),
		.range = (uint32_t)BELOW(3),
		.cpu = (unsigned)BELOW(2),
		.process = BELOW(4),
		.ip = 0x401000 + site * 4,
		.insn_len = (uint8_t)(site % 16),
	};
	memset(random->insn, (int)site, sizeof(random->insn));
	a->insn = a->insn_len ? random->insn : NULL;
	if (BELOW(20) == 0)
		make_lanes(random, a);
	a->kept_first = (uint32_t)BELOW(a->size + (uint64_t)1);
	a->kept_count = (uint32_t)BELOW(a->size - a->kept_first + (uint64_t)1);
	a->offset = BELOW(20) ? a->address - 0x500000 + a->kept_first :
				BELOW(0);
	fill(random, random->old_bytes, a->size);
	fill(random, random->new_bytes, a->size);
	fill(random, random->final_bytes, a->size);
	a->old_bytes = BELOW(30) ? random->old_bytes : NULL;
	a->new_bytes = access_writes(a->kind) && BELOW(30) ?
		random->new_bytes :
		NULL;
	r->outcome = (enum outcome)BELOW(OUTCOME_MAX);
	switch (BELOW(5)) {
	case 0:
		r->final_bytes = random->final_bytes;
		break;
	case 1:
		break;
	default:
		r->final_bytes = a->new_bytes ? a->new_bytes : a->old_bytes;
	}
	make_extras(random, r);
}

static void make_event(struct trace_random *random)
{
	struct trace_record *r = &random->record;

	r->kind = 1 + (enum trace_kind)BELOW(TRACE_END - 1);
	r->process = BELOW(5);
	r->range = (uint32_t)BELOW(3);
	r->offset = BELOW(4096);
	r->size = BELOW(4096);
	r->exit_code = (int64_t)BELOW(0);
	r->count = BELOW(100);
	r->program = BELOW(2) ? UINT32_MAX : (uint32_t)BELOW(2);
	snprintf(random->text, sizeof(random->text), "text %llu",
		(unsigned long long)BELOW(1000));
	r->text = r->process_name = random->text;
	fill(random, random->bound, r->size);
	r->bytes = r->kind == TRACE_BIND && BELOW(2) ? random->bound : NULL;
	r->frame = r->kind == TRACE_BIND && BELOW(3) ? 0x100000 + BELOW(8) : 0;
}

const struct trace_record *trace_random_next(struct trace_random *random)
{
	random->time += BELOW(1000);
	memset(&random->record, 0, sizeof(random->record));
	random->record.time_ns = random->time;
	if (BELOW(30))
		make_access(random);
	else
		make_event(random);
	return &random->record;
}

void trace_random_write(const char *path, uint64_t seed, unsigned count)
{
	static const struct trace_writer_options options = {
		.regs = true,
		.stacks = true,
	};
	struct trace_random random;
	struct trace_writer *writer;
	struct error err = { 0 };
	int ret = trace_writer_open(
		path, &trace_random_meta, &options, &writer, &err);

	trace_random_init(&random, seed);
	for (unsigned i = 0; i < count && !ret; i++)
		ret = trace_writer_add(writer, trace_random_next(&random),
			&trace_random_names);
	if (!ret)
		ret = trace_writer_close(writer, -3, &err);
	if (!ret)
		return;
	fprintf(stderr, "%s: %d %s\n", path, ret, err.text);
	exit(1);
}
