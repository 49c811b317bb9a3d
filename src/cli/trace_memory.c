/* SPDX-License-Identifier: MIT */
/* custos trace memory: kept bytes as they were at a moment. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

#define ROW 16
#define BLOCK (64 * 1024) /* a multiple of ROW */

const char trace_memory_help[] =
	"  -a, --at MOMENT       as of this access (1000) or time (1.5s, 20ms);\n"
	"                        without it, at the end\n"
	"  -d, --diff MOMENT     only rows that are different then, as of --at\n"
	"                        with -, as of then with +\n"
	"  -p, --process NAME|ID as this process has them\n"
	"\n"
	"Bytes that are not known are shown as ??.\n"
	"Exit code with --diff: 1 when there is a difference.\n";

struct picture {
	uint8_t bytes[BLOCK];
	bool known[BLOCK];
};

struct memory {
	struct trace_query q;
	struct trace_places places;
	struct trace_moment at, diff;
	uint64_t seq, diff_seq;
	const char *process_text;
	uint64_t process;
	bool differs;
	struct picture *one, *two;
	struct buf line;
};

static bool paint(struct memory *m, const struct trace_place *place,
	uint64_t offset, uint64_t length, uint64_t seq, struct picture *out)
{
	struct error err = { 0 };

	if (!trace_reader_memory(m->q.reader, place->range->id, m->process,
		    seq, offset, length, out->bytes, out->known, &err))
		return true;
	trace_query_fail(&m->q, "%s", err.text);
	return false;
}

/* Columns are the address's last digit; a device counts from 0. */
static void add_row(struct memory *m, const char *sign, uint64_t address,
	const struct picture *p, uint64_t from, unsigned lead, unsigned count)
{
	struct buf *out = &m->line;

	buf_printf(out, "%s%012" PRIx64 " ", sign, address - lead);
	for (unsigned i = 0; i < ROW; i++) {
		uint64_t at = from + i - lead;

		buf_add_str(out, i == ROW / 2 ? "  " : " ");
		if (i < lead || i - lead >= count)
			buf_add_str(out, "  ");
		else if (p->known[at])
			buf_printf(out, "%02x", p->bytes[at]);
		else
			buf_add_str(out, "??");
	}
	buf_add_str(out, "  |");
	for (unsigned i = 0; i < lead + count; i++) {
		uint64_t at = from + i - lead;
		bool plain = i >= lead && p->known[at] &&
			p->bytes[at] >= ' ' && p->bytes[at] < 0x7f;

		buf_add_char(out, i < lead ? ' ' :
			plain		   ? (char)p->bytes[at] :
					     '.');
	}
	buf_add_str(out, "|\n");
}

static bool same(const struct memory *m, uint64_t from, unsigned count)
{
	return !memcmp(m->one->bytes + from, m->two->bytes + from, count) &&
		!memcmp(m->one->known + from, m->two->known + from, count);
}

static void add_block(struct memory *m, uint64_t address, uint64_t length)
{
	for (uint64_t done = 0; done < length;) {
		unsigned lead = (unsigned)((address + done) % ROW);
		unsigned count = ROW - lead;

		if (count > length - done)
			count = (unsigned)(length - done);
		if (!m->diff.given) {
			add_row(m, "", address + done, m->one, done, lead,
				count);
		} else if (!same(m, done, count)) {
			m->differs = true;
			add_row(m, "-", address + done, m->one, done, lead,
				count);
			add_row(m, "+", address + done, m->two, done, lead,
				count);
		}
		done += count;
	}
	fwrite(m->line.data, 1, m->line.len, stdout);
	buf_reset(&m->line);
}

/* Unknown bytes are 0, to be compared. */
static void clear_unknown(struct picture *p, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		if (!p->known[i])
			p->bytes[i] = 0;
}

static void show_place(struct memory *m, const struct trace_place *place)
{
	uint64_t base = place->range->device ? 0 : place->range->address;

	if (m->places.count > 1) {
		trace_place_describe(place->range, place->offset, &m->line);
		buf_add_str(&m->line, ":\n");
	}
	for (uint64_t done = 0; done < place->length;) {
		uint64_t offset = place->offset + done;
		uint64_t length = BLOCK - (base + offset) % ROW;

		if (length > place->length - done)
			length = place->length - done;
		if (!paint(m, place, offset, length, m->seq, m->one) ||
			(m->diff.given &&
				!paint(m, place, offset, length, m->diff_seq,
					m->two)))
			return;
		clear_unknown(m->one, length);
		clear_unknown(m->two, length);
		add_block(m, base + offset, length);
		done += length;
		trace_progress(m->q.verb, done, place->length);
		if (trace_interrupted() || ferror(stdout)) {
			m->q.code = CLI_INTERRUPTED;
			return;
		}
	}
}

static void show(struct memory *m, const char *place)
{
	if (!trace_query_places(&m->q, place, &m->places) ||
		!trace_query_process(&m->q, m->process_text, &m->process) ||
		!trace_query_moment(&m->q, &m->at, &m->seq) ||
		!trace_query_moment(&m->q, &m->diff, &m->diff_seq))
		return;
	m->one = calloc(1, sizeof(*m->one));
	m->two = calloc(1, sizeof(*m->two));
	if (!m->one || !m->two) {
		trace_query_fail(&m->q, "out of memory");
		return;
	}
	for (size_t i = 0; i < m->places.count && !m->q.code; i++)
		show_place(m, &m->places.at[i]);
	if (!trace_query_finish(&m->q) && m->differs)
		m->q.code = CLI_NO;
}

static int take_options(
	int argc, char **argv, const char *verb, struct memory *m)
{
	static const struct option options[] = {
		{ "at", required_argument, NULL, 'a' },
		{ "diff", required_argument, NULL, 'd' },
		{ "process", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "a:d:p:", options, NULL)) !=
		-1) {
		if (option == 'p')
			m->process_text = optarg;
		else if (option != 'a' && option != 'd')
			return trace_bad_option(verb);
		else if (!trace_moment_parse(
				 optarg, option == 'a' ? &m->at : &m->diff))
			return trace_bad_moment(verb,
				option == 'a' ? "--at" : "--diff", optarg);
	}
	if (argc - optind != 2)
		return cmd_usage_error(verb, "name a place and one trace");
	return -1;
}

int trace_memory_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct memory m = { 0 };
	int code = take_options(argc, argv, verb, &m);

	if (code >= 0)
		return code;
	if (!trace_query_open(&m.q, verb, argv[optind + 1]))
		return m.q.code;
	show(&m, argv[optind]);
	trace_places_fini(&m.places);
	free(m.one);
	free(m.two);
	buf_fini(&m.line);
	return trace_query_close(&m.q);
}
