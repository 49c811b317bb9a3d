/* SPDX-License-Identifier: MIT */
#include "trace/trace_names.h"

#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "trace/trace_format.h"
#include "trace/trace_start.h"

/* More than any real trace has; a hostile one ends here. */
#define GAP_MAX (UINT32_C(1) << 16)
#define PROCESSES_MAX (UINT32_C(1) << 22)
#define TABLE_MAX (UINT32_C(1) << 20)

enum names_entry { NAMES_SITE = 1, NAMES_PROCESS, NAMES_RANGE };

/* ---- META ---- */

static void pack_range(struct pack_out *out, const struct trace_range *range)
{
	pack_varint(out, range->id);
	pack_string(out, range->name);
	pack_byte(out, range->device);
	pack_varint(out, range->program);
	pack_varint(out, range->address);
	pack_varint(out, range->length);
}

void trace_meta_pack(struct pack_out *out, const struct trace_meta *meta)
{
	pack_string(out, meta->command);
	pack_string(out, meta->kvm);
	pack_varint(out, meta->cpus);
	pack_varint(out, meta->started_ns);
	pack_u64(out, meta->script_hash);
	pack_varint(out, meta->program_count);
	for (uint32_t i = 0; i < meta->program_count; i++) {
		pack_string(out, meta->programs[i].name);
		pack_string(out, meta->programs[i].path);
		pack_u64(out, meta->programs[i].hash);
	}
	pack_varint(out, meta->range_count);
	for (uint32_t i = 0; i < meta->range_count; i++)
		pack_range(out, &meta->ranges[i]);
}

static bool unpack_programs(struct pack_in *in, struct trace_meta *out)
{
	uint64_t count = unpack_bounded(in, TABLE_MAX);
	struct trace_program *programs;

	/* Every entry has ten bytes at least: no memory for mere claims. */
	if (in->failed || count > (uint64_t)(in->end - in->at) / 10)
		return false;
	programs = calloc(count + 1, sizeof(*programs));
	if (!programs)
		return false;
	out->programs = programs;
	out->program_count = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++) {
		programs[i].name = trace_unpack_string(in);
		programs[i].path = trace_unpack_string(in);
		programs[i].hash = unpack_u64(in);
	}
	return !in->failed;
}

static void unpack_range(struct pack_in *in, struct trace_range *out)
{
	out->id = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->name = trace_unpack_string(in);
	out->device = unpack_byte(in);
	out->program = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->address = unpack_varint(in);
	out->length = unpack_varint(in);
}

static bool unpack_ranges(struct pack_in *in, struct trace_meta *out)
{
	uint64_t count = unpack_bounded(in, TABLE_MAX);
	struct trace_range *ranges;

	if (in->failed || count > (uint64_t)(in->end - in->at) / 6)
		return false;
	ranges = calloc(count + 1, sizeof(*ranges));
	if (!ranges)
		return false;
	out->ranges = ranges;
	out->range_count = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++)
		unpack_range(in, &ranges[i]);
	return !in->failed;
}

bool trace_meta_unpack(struct pack_in *in, struct trace_meta *out)
{
	*out = (struct trace_meta){ 0 };
	out->command = trace_unpack_string(in);
	out->kvm = trace_unpack_string(in);
	out->cpus = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->started_ns = unpack_varint(in);
	out->script_hash = unpack_u64(in);
	if (!in->failed && unpack_programs(in, out) && unpack_ranges(in, out))
		return true;
	trace_meta_fini(out);
	return false;
}

void trace_meta_fini(struct trace_meta *meta)
{
	for (uint32_t i = 0; i < meta->program_count; i++) {
		free((char *)meta->programs[i].name);
		free((char *)meta->programs[i].path);
	}
	for (uint32_t i = 0; i < meta->range_count; i++)
		free((char *)meta->ranges[i].name);
	free((struct trace_program *)meta->programs);
	free((struct trace_range *)meta->ranges);
	free((char *)meta->command);
	free((char *)meta->kvm);
	trace_start_destroy(meta->start);
	*meta = (struct trace_meta){ 0 };
}

/* ---- NAMES ---- */

void trace_site_pack(
	struct pack_out *out, uint32_t number, const struct trace_site *site)
{
	pack_byte(out, NAMES_SITE);
	pack_varint(out, number);
	pack_varint(out, site->process);
	pack_varint(out, site->ip);
	pack_byte(out, site->insn_len);
	pack_bytes(out, site->insn, site->insn_len);
	pack_string(out, site->symbol);
	pack_string(out, site->line);
	pack_string(out, site->text);
}

void trace_process_pack(
	struct pack_out *out, const struct trace_process *process)
{
	pack_byte(out, NAMES_PROCESS);
	pack_varint(out, process->id);
	pack_string(out, process->name);
	pack_varint(out, (uint32_t)(process->program + 1));
}

void trace_range_pack(struct pack_out *out, const struct trace_range *range)
{
	pack_byte(out, NAMES_RANGE);
	pack_range(out, range);
}

static void free_site(struct trace_site *site)
{
	free((char *)site->symbol);
	free((char *)site->line);
	free((char *)site->text);
}

static int take_site(struct trace_names_table *table, struct pack_in *in)
{
	/* Numbers come in order; a gap is where a chunk was lost. */
	uint32_t number = (uint32_t)unpack_bounded(in, TRACE_SITES_MAX - 1);
	struct trace_site site = { 0 };
	const uint8_t *insn;

	site.process = unpack_varint(in);
	site.ip = unpack_varint(in);
	site.insn_len = unpack_byte(in);
	if (site.insn_len > ARCH_INSN_MAX)
		return -EBADMSG;
	insn = unpack_bytes(in, site.insn_len);
	if (insn)
		memcpy(site.insn, insn, site.insn_len);
	site.symbol = trace_unpack_string(in);
	site.line = trace_unpack_string(in);
	site.text = trace_unpack_string(in);
	if (in->failed || number > table->site_count + GAP_MAX ||
		(number < table->site_count && table->sites[number].symbol) ||
		!GROW(table->sites, table->site_room, number + (size_t)1)) {
		free_site(&site);
		return -EBADMSG;
	}
	table->sites[number] = site;
	if (table->site_count <= number)
		table->site_count = number + (size_t)1;
	return 0;
}

/* Index of the first process with an id >= id. */
static size_t lower(const struct trace_names_table *table, uint64_t id)
{
	size_t low = 0, high = table->process_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table->processes[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int take_process(struct trace_names_table *table, struct pack_in *in)
{
	struct trace_process process = { .id = unpack_varint(in) };
	size_t at = lower(table, process.id);

	process.name = trace_unpack_string(in);
	process.program = (uint32_t)unpack_bounded(in, UINT32_MAX) - 1;
	if (in->failed || table->process_count == PROCESSES_MAX ||
		(at < table->process_count &&
			table->processes[at].id == process.id) ||
		!GROW(table->processes, table->process_room,
			table->process_count + 1)) {
		free((char *)process.name);
		return in->failed ? -EBADMSG : 0;
	}
	memmove(&table->processes[at + 1], &table->processes[at],
		(table->process_count - at) * sizeof(process));
	table->processes[at] = process;
	table->process_count++;
	return 0;
}

static int take_range(struct trace_names_table *table, struct pack_in *in)
{
	struct trace_meta *meta = table->meta;
	struct trace_range range, *ranges;

	unpack_range(in, &range);
	ranges = in->failed || meta->range_count == TABLE_MAX ?
		NULL :
		reallocarray((void *)meta->ranges,
			meta->range_count + (size_t)1, sizeof(*ranges));
	if (!ranges) {
		free((char *)range.name);
		return -EBADMSG;
	}
	ranges[meta->range_count++] = range;
	meta->ranges = ranges;
	return 0;
}

int trace_names_unpack(struct trace_names_table *table, struct pack_in *in)
{
	int ret = 0;

	while (!ret && in->at < in->end) {
		switch (unpack_byte(in)) {
		case NAMES_SITE:
			ret = take_site(table, in);
			break;
		case NAMES_PROCESS:
			ret = take_process(table, in);
			break;
		case NAMES_RANGE:
			ret = take_range(table, in);
			break;
		default:
			ret = -EBADMSG;
		}
	}
	return ret;
}

void trace_names_fini(struct trace_names_table *table)
{
	for (size_t i = 0; i < table->site_count; i++)
		free_site(&table->sites[i]);
	for (size_t i = 0; i < table->process_count; i++)
		free((char *)table->processes[i].name);
	free(table->sites);
	free(table->processes);
	*table = (struct trace_names_table){ 0 };
}

const struct trace_process *trace_names_process(
	const struct trace_names_table *table, uint64_t id)
{
	size_t at = lower(table, id);

	return at < table->process_count && table->processes[at].id == id ?
		&table->processes[at] :
		NULL;
}
