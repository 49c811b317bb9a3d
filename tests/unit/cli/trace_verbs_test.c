/* SPDX-License-Identifier: MIT */
/*
 * What the verbs of custos trace say of random runs, compared with what is
 * worked out here by going through all records. Each is asked as a user would:
 * its arguments, what it prints.
 */
#include <custos/trace.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/trace.h"
#include "tests/support/tests.h"
#include "tests/support/trace_world.h"

#define SEEDS 6
#define ACCESSES 1500

static char path[64], other[64], third[64], output[64];
static char *text; /* what was printed */

static int setup(void **state)
{
	int pid = (int)getpid();

	(void)state;
	snprintf(path, sizeof(path), "/tmp/custos-verbs-%d", pid);
	snprintf(other, sizeof(other), "/tmp/custos-verbs-%d.b", pid);
	snprintf(third, sizeof(third), "/tmp/custos-verbs-%d.c", pid);
	snprintf(output, sizeof(output), "/tmp/custos-verbs-%d.out", pid);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	unlink(third);
	unlink(output);
	free(text);
	text = NULL;
	return 0;
}

/* ---- asking ---- */

static void read_output(void)
{
	FILE *in = fopen(output, "r");
	struct stat st;

	assert_non_null(in);
	assert_int_equal(fstat(fileno(in), &st), 0);
	free(text);
	text = calloc((size_t)st.st_size + 1, 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)st.st_size, in), st.st_size);
	fclose(in);
}

/* Run a verb with arguments, one blank between; what it prints is in text. */
static int ask(int (*run)(int argc, char **argv), const char *verb,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

static int ask(int (*run)(int argc, char **argv), const char *verb,
	const char *format, ...)
{
	char line[512], name[64], *argv[32], *rest = line;
	int argc = 0, code, saved, fd;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(name, sizeof(name), "custos trace %s", verb);
	argv[argc++] = name;
	while ((argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	fd = open(output, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	optind = 0;
	code = run(argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	read_output();
	return code;
}

/* The number behind "key":, which must be in the line. */
static uint64_t number_of(const char *line, const char *key)
{
	char want[32];
	const char *at;

	snprintf(want, sizeof(want), "\"%s\":", key);
	at = strstr(line, want);
	assert_non_null(at);
	return strtoull(at + strlen(want), NULL, 10);
}

/* A place: where in which range, for how long. */
struct place {
	uint32_t range;
	uint64_t offset, length;
	char name[64];
};

static struct place random_place(struct world *w)
{
	static const uint64_t lengths[] = { 2 * WORLD_PAGE, 512 };
	struct place p = { .range = world_number(w, 5) == 0 };

	p.offset = world_number(w, 2) ? world_number(w, 64) :
					world_number(w, lengths[p.range]);
	p.length = 1 + world_number(w, 80);
	if (p.length > lengths[p.range] - p.offset)
		p.length = lengths[p.range] - p.offset;
	snprintf(p.name, sizeof(p.name), "%s+%" PRIu64 "+%" PRIu64,
		p.range ? "tail" : "ring", p.offset, p.length);
	return p;
}

/* ---- who ---- */

static bool leaves_mark(const struct trace_record *r)
{
	return r->kind == TRACE_ACCESS && access_writes(r->access.kind) &&
		r->final_bytes && r->outcome != OUTCOME_ABSORB;
}

/* The number of the last store to a byte; 0: none. */
static uint64_t last_store(const struct world *w, uint32_t range,
	uint64_t offset, uint64_t process, uint64_t seq)
{
	uint64_t last = 0;

	for (size_t i = 0; i < w->count; i++) {
		const struct trace_record *r = &w->records[i].r;
		const struct access *a = &r->access;

		if (leaves_mark(r) && r->seq <= seq && a->range == range &&
			offset >= a->offset && offset < a->offset + a->size &&
			(!process || process == a->process))
			last = r->seq;
	}
	return last;
}

static void check_who(struct world *w)
{
	struct place p = random_place(w);
	uint64_t at = 1 + world_number(w, w->seq), done = 0;
	uint64_t process = world_number(w, WORLD_PROCESSES + 1);
	char who[32] = "";
	int code;

	if (process)
		snprintf(who, sizeof(who), "--process %" PRIu64 " ", process);
	code = ask(trace_who_run, "who", "--json --at %" PRIu64 " %s%s %s", at,
		who, p.name, path);
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
		uint64_t size = number_of(line, "size");
		uint64_t seq = number_of(line, "seq"); /* null is 0 */

		assert_int_equal(number_of(line, "offset"), p.offset + done);
		for (uint64_t i = 0; i < size; i++, done++)
			assert_int_equal(seq, last_store(w, p.range,
				p.offset + done, process, at));
		code = seq ? 0 : code;
	}
	assert_int_equal(done, p.length);
	assert_in_range(code, 0, 1);
}

static void who_is_right(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		for (int i = 0; i < 40; i++)
			check_who(&w);
		world_fini(&w);
	}
}

/* ---- history ---- */

/* The next line must be of record r, of its bytes [first, last] of the
 * range. */
static void expect_line(char **rest, const struct trace_record *r,
	const uint8_t *after, uint64_t first, uint64_t last)
{
	char *line = strsep(rest, "\n"), hex[2 * WORLD_PAGE + 16];
	size_t len = (size_t)snprintf(hex, sizeof(hex), "\"after\":\"");

	assert_non_null(line);
	assert_int_equal(number_of(line, "seq"), r->seq);
	assert_int_equal(number_of(line, "time_ns"), r->time_ns);
	assert_int_equal(number_of(line, "offset"), first);
	assert_int_equal(number_of(line, "size"), last - first + 1);
	for (uint64_t i = 0; i <= last - first; i++)
		len += (size_t)snprintf(
			hex + len, sizeof(hex) - len, "%02x", after[i]);
	assert_non_null(strstr(line, hex));
	assert_non_null(strstr(line, r->kind == TRACE_BIND ?
			"\"event\":\"start\"" : "\"event\":\"store\""));
}

static void check_history(struct world *w)
{
	struct place p = random_place(w);
	char *rest;

	ask(trace_history_run, "history", "--json %s %s", p.name, path);
	rest = text;
	for (size_t i = 0; i < w->count; i++) {
		const struct trace_record *r = &w->records[i].r;
		bool store = leaves_mark(r), bound = r->kind == TRACE_BIND;
		uint64_t from = store ? r->access.offset : r->offset;
		uint64_t size = store ? r->access.size : r->size;
		uint64_t first = from > p.offset ? from : p.offset;
		uint64_t end = from + size < p.offset + p.length ?
			from + size : p.offset + p.length;

		if ((!store && !bound) || first >= end ||
			(store ? r->access.range : r->range) != p.range)
			continue;
		expect_line(&rest, r,
			(store ? r->final_bytes : r->bytes) + (first - from),
			first, end - 1);
	}
	assert_string_equal(rest, "");
}

static void history_is_right(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		for (int i = 0; i < 12; i++)
			check_history(&w);
		world_fini(&w);
	}
}

/* ---- memory ---- */

struct known {
	bool known;
	uint8_t byte;
};

/* A byte of a process (0: as whoever touched it last left it). */
static struct known byte_at(const struct world *w, const struct place *p,
	uint64_t offset, uint64_t process, uint64_t seq)
{
	struct known k = { 0 };

	for (size_t i = 0; i < w->count; i++) {
		const struct trace_record *r = &w->records[i].r;
		const struct access *a = &r->access;
		bool bound = r->kind == TRACE_BIND;
		uint64_t from = bound ? r->offset : a->offset;
		const uint8_t *bytes = bound ? r->bytes : r->final_bytes;

		if ((!bound && (r->kind != TRACE_ACCESS ||
				!access_writes(a->kind))) ||
			!bytes || r->seq > seq || offset < from ||
			offset - from >= (bound ? r->size : a->size) ||
			(bound ? r->range : a->range) != p->range ||
			(process && process != (bound ? r->process :
							a->process)))
			continue;
		k = (struct known){ true, bytes[offset - from] };
	}
	return k;
}

/* The bytes of a dump: behind the address, without what is beside it. */
static void compare_dump(const struct world *w, const struct place *p,
	uint64_t process, uint64_t seq)
{
	uint64_t done = 0;

	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
		char *words = line, *word;

		*strchr(line, '|') = 0;
		strsep(&words, " ");
		while ((word = strsep(&words, " "))) {
			struct known k;
			char want[3] = "??";

			if (!*word)
				continue;
			k = byte_at(w, p, p->offset + done++, process, seq);
			if (k.known)
				snprintf(want, sizeof(want), "%02x", k.byte);
			assert_string_equal(word, want);
		}
	}
	assert_int_equal(done, p->length);
}

static void memory_is_right(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		for (int i = 0; i < 30; i++) {
			struct place p = random_place(&w);
			uint64_t at = 1 + world_number(&w, w.seq);
			uint64_t process = 1 + world_number(&w, 3);
			bool any = world_number(&w, 2);
			char who[32] = "";

			if (!any)
				snprintf(who, sizeof(who),
					"--process %" PRIu64 " ", process);
			ask(trace_memory_run, "memory",
				"--at %" PRIu64 " %s%s %s", at, who, p.name,
				path);
			compare_dump(&w, &p, any ? 0 : process, at);
		}
		world_fini(&w);
	}
}

/* ---- records of a trace, compared with the world's ---- */

static struct trace_reader *open_trace(const char *name)
{
	struct trace_reader *reader;
	struct error err = { 0 };

	if (trace_reader_open(name, &reader, &err))
		fail_msg("%s", err.text);
	return reader;
}

static void same_record(
	const struct trace_record *a, const struct trace_record *b)
{
	const struct access *x = &a->access, *y = &b->access;

	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->time_ns, b->time_ns);
	assert_int_equal(a->process, b->process);
	if (a->kind == TRACE_BIND) {
		assert_int_equal(a->frame, b->frame);
		assert_int_equal(a->size, b->size);
		assert_memory_equal(a->bytes, b->bytes, a->size);
	}
	if (a->kind != TRACE_ACCESS)
		return;
	assert_int_equal(x->seq, y->seq);
	assert_int_equal(x->kind, y->kind);
	assert_int_equal(x->process, y->process);
	assert_int_equal(x->offset, y->offset);
	assert_int_equal(x->size, y->size);
	assert_int_equal(x->ip, y->ip);
	assert_int_equal(a->outcome, b->outcome);
	assert_memory_equal(x->old_bytes, y->old_bytes, x->size);
	assert_int_equal(a->final_bytes != NULL, b->final_bytes != NULL);
	if (a->final_bytes)
		assert_memory_equal(a->final_bytes, b->final_bytes, x->size);
}

/* ---- cut ---- */

/* Everybody's memory, as it was, and nothing else. */
static void check_start(struct trace_reader *reader, const struct world *w,
	size_t index, struct trace_record *r)
{
	struct world_state state;
	unsigned left = 0;

	world_state_at(w, index, &state);
	for (int p = 1; p <= WORLD_PROCESSES; p++)
		for (int page = 0; page < WORLD_PAGES; page++)
			left += state.map[p][page] >= 0;
	for (unsigned n = 0; n < WORLD_PROCESSES; n++) {
		assert_int_equal(trace_reader_next(reader, r, NULL), 1);
		assert_int_equal(r->kind, TRACE_PROCESS_START);
	}
	for (; left; left--) {
		unsigned at, page;
		int *frame;

		assert_int_equal(trace_reader_next(reader, r, NULL), 1);
		assert_int_equal(r->kind, TRACE_BIND);
		page = world_page(r->range, r->offset, &at);
		frame = &state.map[r->process][page];
		assert_int_equal(r->frame, WORLD_FRAME + (uint64_t)*frame);
		assert_memory_equal(
			r->bytes, state.frames[*frame] + at, r->size);
		*frame = -1;
	}
}

static void check_cut(struct world *w)
{
	uint64_t from = 2 + world_number(w, w->seq - 1);
	uint64_t to = from + world_number(w, w->seq - from + 1);
	struct trace_reader *reader;
	struct trace_record r;
	size_t i = 0;

	assert_int_equal(ask(trace_cut_run, "cut", "--from %" PRIu64
				 " --to %" PRIu64 " %s %s", from, to, path,
				 other),
		0);
	reader = open_trace(other);
	while (w->records[i].r.seq < from)
		i++;
	check_start(reader, w, i, &r);
	for (; i < w->count && w->records[i].r.seq <= to; i++) {
		assert_int_equal(trace_reader_next(reader, &r, NULL), 1);
		same_record(&w->records[i].r, &r);
	}
	assert_int_equal(trace_reader_next(reader, &r, NULL), 1);
	assert_int_equal(r.kind, TRACE_END);
	trace_reader_close(reader);
}

static void a_part_begins_as_things_were(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		for (int i = 0; i < 10; i++)
			check_cut(&w);
		world_fini(&w);
	}
}

/* ---- merge ---- */

static void pieces_become_the_whole_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct trace_reader *reader;
		struct trace_record r;
		struct world w;
		uint64_t at;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		at = 2 + world_number(&w, w.seq - 2);
		ask(trace_cut_run, "cut", "--to %" PRIu64 " %s %s", at - 1,
			path, other);
		ask(trace_cut_run, "cut", "--from %" PRIu64 " %s %s", at,
			path, third);
		unlink(path);
		assert_int_equal(ask(trace_merge_run, "merge", "%s %s %s",
					 path, third, other),
			0);
		reader = open_trace(path);
		for (size_t i = 0; i < w.count; i++) {
			assert_int_equal(
				trace_reader_next(reader, &r, NULL), 1);
			same_record(&w.records[i].r, &r);
		}
		trace_reader_close(reader);
		world_fini(&w);
	}
}

/* Two runs side by side: all accesses of both, by time, each run's own in
 * their order, and no memory or process of one taken for the other's. */
static void two_runs_stay_apart(void **state)
{
	struct world w[2];
	size_t at[2] = { 0, 0 };
	uint64_t last = 0, seq = 0;
	struct trace_reader *reader;
	struct trace_record r;

	(void)state;
	world_init(&w[0], 11, ACCESSES);
	world_init(&w[1], 12, ACCESSES);
	w[1].started_ns = world_meta.started_ns + 300000;
	world_write(&w[0], path);
	world_write(&w[1], other);
	assert_int_equal(ask(trace_merge_run, "merge", "%s %s %s", third, path,
				 other),
		0);
	reader = open_trace(third);
	while (trace_reader_next(reader, &r, NULL) == 1) {
		uint64_t process = r.kind == TRACE_ACCESS ? r.access.process :
							    r.process;
		int run = process > WORLD_PROCESSES;
		const struct trace_record *want;

		if (r.kind == TRACE_END)
			continue;
		assert_true(r.time_ns >= last);
		last = r.time_ns;
		want = &w[run].records[at[run]++].r;
		assert_int_equal(want->kind, r.kind);
		assert_int_equal(want->time_ns + run * 300000ul, r.time_ns);
		if (r.kind == TRACE_BIND)
			assert_int_equal(run, r.frame >= UINT64_C(1) << 40);
		if (r.kind != TRACE_ACCESS)
			continue;
		assert_int_equal(r.access.seq, ++seq);
		assert_int_equal(want->access.offset, r.access.offset);
		assert_memory_equal(want->access.old_bytes,
			r.access.old_bytes, r.access.size);
	}
	assert_int_equal(at[0], w[0].count);
	assert_int_equal(at[1], w[1].count);
	trace_reader_close(reader);
	world_fini(&w[0]);
	world_fini(&w[1]);
}

/* ---- diff ---- */

struct edits {
	uint64_t same, only_a, only_b, values;
};

/* path gets all records but some, other all but some others; a few have other
 * values there. Far enough from each other not to be taken for one. */
static struct edits write_two(struct world *w)
{
	struct edits e = { 0 };
	struct trace_writer *a, *b;
	uint64_t next = 20, odd = 0;

	assert_int_equal(trace_writer_open(path, &world_meta, NULL, &a, NULL),
		0);
	assert_int_equal(trace_writer_open(other, &world_meta, NULL, &b, NULL),
		0);
	for (size_t i = 0; i < w->count; i++) {
		struct trace_record r = w->records[i].r, changed = r;
		/* Not before the end: too few come behind. */
		bool edit = r.kind == TRACE_ACCESS && r.seq >= next &&
			r.seq + 40 < w->seq;
		uint64_t how = edit ? world_number(w, 3) : 3;

		if (edit)
			next = r.seq + 40 + world_number(w, 60);
		if (how == 2) {
			odd = UINT64_C(0x5a5a5a5a5a5a5a5a) ^ r.seq;
			if (r.final_bytes)
				changed.final_bytes = (uint8_t *)&odd;
			changed.access.old_bytes = (uint8_t *)&odd;
		}
		e.only_a += how == 0;
		e.only_b += how == 1;
		e.values += how == 2;
		e.same += how == 3 && r.kind == TRACE_ACCESS;
		if (how != 1)
			trace_writer_add(a, &r, NULL);
		if (how != 0)
			trace_writer_add(b, &changed, NULL);
	}
	assert_int_equal(trace_writer_close(a, 0, NULL), 0);
	assert_int_equal(trace_writer_close(b, 0, NULL), 0);
	return e;
}

static uint64_t count_lines(const char *sign)
{
	uint64_t n = !strncmp(text, sign, strlen(sign));
	char want[8];

	snprintf(want, sizeof(want), "\n%s", sign);
	for (const char *at = text; (at = strstr(at, want)); at++)
		n++;
	return n;
}

static void diff_finds_every_edit(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct edits e;
		struct world w;
		char want[32];

		world_init(&w, seed, ACCESSES);
		e = write_two(&w);
		assert_true(e.only_a && e.only_b && e.values);
		assert_int_equal(ask(trace_diff_run, "diff", "--top 0 %s %s",
					 path, other),
			1);
		assert_int_equal(count_lines("< "), e.only_a);
		assert_int_equal(count_lines("> "), e.only_b);
		assert_int_equal(count_lines("!<"), e.values);
		assert_int_equal(count_lines("!>"), e.values);
		snprintf(want, sizeof(want), "\n%" PRIu64 " accesses are",
			e.same);
		assert_non_null(strstr(text, want));
		assert_int_equal(ask(trace_diff_run, "diff", "%s %s", path,
					 path),
			0);
		world_fini(&w);
	}
}

/* ---- origin ---- */

#define CHAIN 5

/* A value that goes from place to place, each time through a register: origin
 * must come back to the first store, step by step. */
static void check_origin(struct world *w)
{
	uint64_t value = UINT64_C(0x1122334455000000) + world_number(w, 9999);
	uint64_t process = 1 + world_number(w, WORLD_PROCESSES);
	uint64_t stores[CHAIN], places[CHAIN], first = world_number(w, 200);
	char *rest;

	for (int i = 0; i < CHAIN; i++) {
		places[i] = 64 + (first + (unsigned)i * 7) % 250 * 8;
		if (i)
			world_load(w, process, places[i - 1]);
		for (uint64_t n = world_number(w, 6); n; n--)
			world_load(w, process, 8 * (300 + world_number(w, 90)));
		world_store(w, process, places[i], value);
		stores[i] = w->seq;
	}
	world_write(w, path);
	ask(trace_origin_run, "origin", "--process %" PRIu64
		" --steps %d ring+%" PRIu64 "+8 %s", process, CHAIN - 1,
		places[CHAIN - 1], path);
	rest = text;
	for (int i = CHAIN; i-- > 1;) {
		char *store = strsep(&rest, "\n"), *why = strsep(&rest, "\n");

		assert_int_equal(strtoull(store, NULL, 10), stores[i]);
		if (!strstr(why, "likely") && !strstr(why, "possibly"))
			fail_msg("%s", why);
		strsep(&rest, "\n"); /* the load */
	}
}

static void origin_goes_back_through_copies(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w;

		world_init(&w, seed, 300);
		check_origin(&w);
		world_fini(&w);
	}
}

/* ---- report ---- */

#define LINES (WORLD_FRAMES * WORLD_PAGE / 64)

/* A cache line of memory, not of addresses. */
struct line {
	uint64_t users, user; /* a bit each; the last */
	uint64_t reads, writes; /* its bytes, since it came to the last */
	uint64_t same, others; /* moves */
};

static void use(struct line *line, const struct access *a, uint64_t mask)
{
	uint64_t reads = access_reads(a->kind) ? mask : 0;
	uint64_t writes = access_writes(a->kind) ? mask : 0;

	if (line->users && line->user != a->process) {
		if ((writes & (line->reads | line->writes)) |
			(line->writes & mask))
			line->same++;
		else if (writes || line->writes)
			line->others++;
		line->reads = line->writes = 0;
	}
	line->users |= UINT64_C(1) << a->process;
	line->user = a->process;
	line->reads |= reads;
	line->writes |= writes;
}

static void add_access(struct line *lines, const struct world_state *state,
	const struct access *a)
{
	unsigned at, page = world_page(a->range, a->offset, &at);
	unsigned byte = (unsigned)state->map[a->process][page] * WORLD_PAGE +
		at;

	for (unsigned done = 0, n; done < a->size; done += n, byte += n) {
		unsigned in_line = byte % 64;

		n = a->size - done < 64 - in_line ? a->size - done :
						    64 - in_line;
		use(&lines[byte / 64], a,
			((UINT64_C(1) << n) - 1) << in_line);
	}
}

/* A frame that nobody has any more begins anew. */
static void begin_anew(struct line *lines, const struct world_state *was,
	const struct world_state *now, uint64_t *shared, uint64_t *same,
	uint64_t *others)
{
	for (int f = 0; f < WORLD_FRAMES; f++) {
		bool before = false, after = false;

		for (int i = 0; i < (WORLD_PROCESSES + 1) * WORLD_PAGES; i++) {
			before |= was->map[i / WORLD_PAGES][i % WORLD_PAGES] ==
				f;
			after |= now->map[i / WORLD_PAGES][i % WORLD_PAGES] ==
				f;
		}
		if (!before || after)
			continue;
		for (int i = 0; i < WORLD_PAGE / 64; i++) {
			struct line *line = &lines[f * WORLD_PAGE / 64 + i];

			*shared += (line->same || line->others);
			*same += line->same;
			*others += line->others;
			memset(line, 0, sizeof(*line));
		}
	}
}

static void check_report(const struct world *w)
{
	static struct world_state before, now, nothing;
	struct line *lines = calloc(LINES, sizeof(*lines));
	uint64_t shared = 0, same = 0, others = 0, told[3] = { 0 };

	assert_non_null(lines);
	memset(nothing.map, -1, sizeof(nothing.map));
	now = nothing;
	for (size_t i = 0; i < w->count; i++) {
		const struct trace_record *r = &w->records[i].r;

		if (r->kind == TRACE_ACCESS)
			add_access(lines, &now, &r->access);
		if (r->kind != TRACE_BIND && r->kind != TRACE_UNBIND)
			continue;
		before = now;
		world_state_at(w, i + 1, &now);
		begin_anew(lines, &before, &now, &shared, &same, &others);
	}
	begin_anew(lines, &now, &nothing, &shared, &same, &others);
	ask(trace_report_run, "report", "--json --top 0 %s", path);
	for (char *at = text; (at = strstr(at, "\"true_moves\"")); at++) {
		told[0]++;
		told[1] += number_of(at, "true_moves");
		told[2] += number_of(at, "false_moves");
	}
	assert_int_equal(number_of(text, "shared_line_count"), told[0]);
	assert_int_equal(told[0], shared);
	assert_int_equal(told[1], same);
	assert_int_equal(told[2], others);
	assert_true(shared);
	free(lines);
}

static void report_knows_who_shares(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;

		world_init(&w, seed, ACCESSES);
		world_write(&w, path);
		check_report(&w);
		world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_right),
		cmocka_unit_test(history_is_right),
		cmocka_unit_test(memory_is_right),
		cmocka_unit_test(a_part_begins_as_things_were),
		cmocka_unit_test(pieces_become_the_whole_again),
		cmocka_unit_test(two_runs_stay_apart),
		cmocka_unit_test(diff_finds_every_edit),
		cmocka_unit_test(origin_goes_back_through_copies),
		cmocka_unit_test(report_knows_who_shares),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
