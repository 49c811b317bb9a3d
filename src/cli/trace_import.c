/* SPDX-License-Identifier: MIT */
/*
 * custos trace import: a trace out of what Valgrind's lackey wrote
 * (--trace-mem=yes). Such text has no ranges, so the input is read twice:
 * first for the pages it touches, which become ranges, then for the accesses.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <custos/trace.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/error.h"
#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

const char trace_import_help[] =
	"The text is what Valgrind's lackey writes when it traces memory.\n"
	"Instructions that the text tells of are who made the accesses behind\n"
	"them; values are not known. FILE - is standard input.\n"
	"\n"
	"  -o, --output TRACE    the trace to write (needed)\n"
	"      --fetches         instructions are accesses, too\n";

#define PAGES_MAX (1u << 24) /* 64 GiB touched */
#define RANGES_MAX 1000
#define PROCESS 1 /* the only one */

struct import {
	const char *verb;
	FILE *in;
	bool fetches;
	struct trace_writer *writer;
	/* Page numbers, sorted and each once after the first reading. */
	uint64_t *pages;
	size_t page_count, page_room;
	struct trace_range *ranges; /* by address */
	size_t range_count;
	char (*names)[48];
	uint64_t seq, time, lines, ignored;
	uint64_t ip; /* of the instruction told last */
	const char *name; /* of the process */
};

/* ---- a line ---- */

struct entry {
	bool is_fetch;
	enum access_kind kind;
	uint64_t address;
	uint32_t size;
};

static bool parse_word(const char *line, struct entry *out)
{
	static const struct {
		const char *word;
		enum access_kind kind;
	} words[] = {
		{ "I  ", ACCESS_FETCH },
		{ " L ", ACCESS_LOAD },
		{ " S ", ACCESS_STORE },
		{ " M ", ACCESS_RMW },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strncmp(line, words[i].word, 3)) {
			out->kind = words[i].kind;
			out->is_fetch = i == 0;
			return true;
		}
	return false;
}

/* " S 1ffefffe70,8". False: not a line of the format; Valgrind's and the
 * program's own lines are among them. */
static bool parse_line(const char *line, struct entry *out)
{
	uint64_t last, size;
	char *end;

	if (!parse_word(line, out) || !strchr("0123456789abcdefABCDEF", line[3]))
		return false;
	errno = 0;
	out->address = strtoull(line + 3, &end, 16);
	if (errno || *end != ',' || end[1] < '0' || end[1] > '9')
		return false;
	size = strtoull(end + 1, &end, 10);
	if (errno || end[strspn(end, "\r\n")] || !size ||
		size > TRACE_ACCESS_SIZE_MAX ||
		!checked_add(out->address, size - 1, &last))
		return false;
	out->size = (uint32_t)size;
	return true;
}

/* ---- the first reading: pages ---- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sort_pages(struct import *im)
{
	size_t kept = 0;

	if (!im->page_count)
		return;
	qsort(im->pages, im->page_count, sizeof(*im->pages), compare);
	for (size_t i = 0; i < im->page_count; i++)
		if (!kept || im->pages[kept - 1] != im->pages[i])
			im->pages[kept++] = im->pages[i];
	im->page_count = kept;
}

/* Memory is for distinct pages: duplicates go before it grows. */
static int make_room(struct import *im, struct error *err)
{
	size_t room = im->page_room ? im->page_room * 2 : 1024;
	uint64_t *pages;

	sort_pages(im);
	if (im->page_count < im->page_room / 2)
		return 0;
	if (room > 2 * (size_t)PAGES_MAX)
		return error_set(err, -EFBIG, "more than %u pages are touched",
			PAGES_MAX);
	pages = reallocarray(im->pages, room, sizeof(*pages));
	if (!pages)
		return error_set(err, -ENOMEM, "out of memory");
	im->pages = pages;
	im->page_room = room;
	return 0;
}

static int add_pages(
	struct import *im, const struct entry *entry, struct error *err)
{
	uint64_t page = entry->address >> ARCH_PAGE_SHIFT;
	uint64_t last = (entry->address + (entry->size - 1)) >> ARCH_PAGE_SHIFT;

	for (; page <= last; page++) {
		if (im->page_count && im->pages[im->page_count - 1] == page)
			continue;
		if (im->page_count == im->page_room && make_room(im, err))
			return err ? err->code : -ENOMEM;
		im->pages[im->page_count++] = page;
	}
	return 0;
}

/* Pages at most gap apart are one range. Counts when out is NULL. */
static size_t join_pages(
	const struct import *im, uint64_t gap, struct trace_range *out)
{
	size_t count = 0;

	for (size_t i = 0; i < im->page_count; i++) {
		uint64_t page = im->pages[i];
		bool joins = i && page - im->pages[i - 1] <= gap;

		count += !joins;
		if (!out)
			continue;
		if (!joins)
			out[count - 1] = (struct trace_range){
				.id = (uint32_t)count - 1,
				.address = page << ARCH_PAGE_SHIFT,
			};
		out[count - 1].length = (page << ARCH_PAGE_SHIFT) +
			ARCH_PAGE_SIZE - out[count - 1].address;
	}
	return count;
}

static int make_ranges(struct import *im, struct error *err)
{
	uint64_t gap = 1;

	sort_pages(im);
	while ((im->range_count = join_pages(im, gap, NULL)) > RANGES_MAX)
		gap *= 2;
	im->ranges = calloc(im->range_count + 1, sizeof(*im->ranges));
	im->names = calloc(im->range_count + 1, sizeof(*im->names));
	if (!im->ranges || !im->names)
		return error_set(err, -ENOMEM, "out of memory");
	join_pages(im, gap, im->ranges);
	for (size_t i = 0; i < im->range_count; i++) {
		struct trace_range *range = &im->ranges[i];

		snprintf(im->names[i], sizeof(im->names[i]),
			"0x%" PRIx64 "+0x%" PRIx64, range->address,
			range->length);
		range->name = im->names[i];
	}
	return 0;
}

/* ---- the second reading: accesses ---- */

static const struct trace_range *find_range(
	const struct import *im, uint64_t address)
{
	size_t low = 0, high = im->range_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (im->ranges[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	return &im->ranges[low];
}

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	char *symbol = ctx;

	sprintf(symbol, "0x%" PRIx64, access->ip);
	site->symbol = symbol;
	site->line = site->text = "";
}

static int add_access(
	struct import *im, const struct entry *entry, struct error *err)
{
	char symbol[24];
	const struct trace_site_names names = { symbol, name_site };
	const struct trace_range *range = find_range(im, entry->address);
	struct trace_record record = {
		.kind = TRACE_ACCESS,
		.time_ns = im->time,
		.seq = ++im->seq,
		.outcome = OUTCOME_PASS,
		.access = {
			.seq = im->seq,
			.kind = entry->kind,
			.address = entry->address,
			.size = entry->size,
			.range = range->id,
			.range_name = range->name,
			.offset = entry->address - range->address,
			.kept_count = entry->size,
			.process = PROCESS,
			.process_name = im->name,
			.ip = im->ip,
		},
	};
	int ret = trace_writer_add(im->writer, &record, &names);

	return ret ? error_set_errno(err, ret, "cannot write") : 0;
}

static int add_process(struct import *im, enum trace_kind kind)
{
	const struct trace_record record = {
		.kind = kind,
		.time_ns = im->time,
		.seq = im->seq,
		.process = PROCESS,
		.process_name = im->name,
	};

	return trace_writer_add(im->writer, &record, NULL);
}

static int take_entry(
	struct import *im, const struct entry *entry, struct error *err)
{
	bool is_access = !entry->is_fetch || im->fetches;

	if (entry->is_fetch)
		im->ip = entry->address;
	im->time++;
	if (!is_access)
		return 0;
	return im->writer ? add_access(im, entry, err) :
			    add_pages(im, entry, err);
}

/* One reading of the input. 0, -EINTR, -errno. */
static int read_all(struct import *im, struct error *err)
{
	char *line = NULL;
	size_t room = 0;
	int ret = 0;

	im->lines = im->ignored = im->time = im->ip = 0;
	while (!ret && getline(&line, &room, im->in) > 0) {
		struct entry entry = { 0 };

		if (parse_line(line, &entry))
			ret = take_entry(im, &entry, err);
		else
			im->ignored++;
		if (!ret && trace_interrupted())
			ret = error_set(err, -EINTR, "interrupted");
		if (!(++im->lines & 0xffff))
			trace_progress(im->verb, im->lines, UINT64_MAX);
	}
	trace_progress(im->verb, 0, 0);
	free(line);
	if (!ret && ferror(im->in))
		ret = error_set(err, -EIO, "cannot read the input");
	return ret;
}

/* ---- the verb ---- */

/* A file that can be read twice. */
static FILE *open_input(const char *path, struct error *err)
{
	char block[65536];
	FILE *copy;
	size_t n;

	if (strcmp(path, "-")) {
		copy = fopen(path, "re");
		if (!copy)
			error_set_errno(err, -errno, "cannot open %s", path);
		else if (!fseek(copy, 0, SEEK_SET))
			return copy;
		else
			error_set_errno(err, -errno,
				"cannot read %s twice; use - for a pipe", path);
		if (copy)
			fclose(copy);
		return NULL;
	}
	copy = tmpfile();
	while (copy && (n = fread(block, 1, sizeof(block), stdin)) > 0)
		if (fwrite(block, 1, n, copy) != n)
			break;
	if (copy && !ferror(copy) && !ferror(stdin) && !fflush(copy)) {
		rewind(copy);
		return copy;
	}
	error_set_errno(err, -errno, "cannot copy standard input");
	if (copy)
		fclose(copy);
	return NULL;
}

static int write_trace(struct import *im, const char *from, const char *path,
	struct error *err)
{
	const struct trace_program program = { im->name, from, 0 };
	struct buf command = BUF_INIT;
	struct trace_meta meta = { .kvm = "", .cpus = 1,
		.programs = &program, .program_count = 1,
		.ranges = im->ranges,
		.range_count = (uint32_t)im->range_count };
	struct error close_err = { 0 };
	int ret, closed;

	buf_printf(&command, "custos trace import lackey %s", from);
	meta.command = buf_str(&command);
	ret = trace_writer_open(path, &meta, NULL, &im->writer, err);
	buf_fini(&command);
	if (ret)
		return ret;
	rewind(im->in);
	add_process(im, TRACE_PROCESS_START);
	ret = read_all(im, err);
	if (!ret)
		add_process(im, TRACE_PROCESS_EXIT);
	closed = trace_writer_close(im->writer, 0, &close_err);
	if (closed && (!ret || ret == -EINTR)) {
		*err = close_err;
		ret = closed;
	}
	return ret;
}

static int import(struct import *im, const char *from, const char *path)
{
	struct error err = { 0 };
	int ret;

	im->in = open_input(from, &err);
	if (!im->in)
		return cmd_fail(im->verb, "%s", err.text);
	trace_catch_interrupts();
	ret = read_all(im, &err);
	if (!ret && !im->page_count)
		ret = error_set(&err, -EINVAL, "%s has no accesses in it", from);
	if (!ret)
		ret = make_ranges(im, &err);
	if (!ret)
		ret = write_trace(im, from, path, &err);
	if (!ret && im->ignored)
		fprintf(stderr,
			"custos %s: %" PRIu64 " of %" PRIu64
			" lines are not lackey's and were left out\n",
			im->verb, im->ignored, im->lines);
	fclose(im->in);
	free(im->pages);
	free(im->ranges);
	free(im->names);
	if (ret)
		cmd_fail(im->verb, "%s", err.text);
	return !ret ? CLI_OK : ret == -EINTR ? CLI_INTERRUPTED : CLI_FAILED;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!strcmp(path, "-"))
		return "stdin";
	return slash && slash[1] ? slash + 1 : path;
}

int trace_import_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "fetches", no_argument, NULL, 'F' },
		{ NULL, 0, NULL, 0 },
	};
	struct import im = { .verb = argv[0] + strlen("custos ") };
	const char *path = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (option == 'o')
			path = optarg;
		else if (option == 'F')
			im.fetches = true;
		else
			return trace_bad_option(im.verb);
	}
	if (argc - optind != 2)
		return cmd_usage_error(im.verb, "name a format and a file");
	if (strcmp(argv[optind], "lackey"))
		return cmd_usage_error(
			im.verb, "there is no format `%s'", argv[optind]);
	if (!path)
		return cmd_usage_error(im.verb, "-o is needed");
	im.name = base_name(argv[optind + 1]);
	return import(&im, argv[optind + 1], path);
}
