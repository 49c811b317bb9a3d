/* SPDX-License-Identifier: MIT */
/*
 * Recorded runs: reading them, and writing them. The file format is
 * docs/TRACE-FORMAT.md's subject; a reader can be written from that page alone.
 *
 * A trace is self-contained: it names programs, ranges, processes and
 * instructions (symbol, source line, text), and holds the bytes of every kept
 * range as they were when the range was bound, so that memory at any moment
 * can be rebuilt from it.
 */
#ifndef CUSTOS_TRACE_H
#define CUSTOS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <custos/access.h>
#include <custos/arch.h>

struct error; /* base/error.h: code and text; may be NULL everywhere here */

/* ---- what a trace is about ---- */

struct trace_program {
	const char *name;
	const char *path; /* when it was recorded */
	uint64_t hash; /* XXH3-64 of the file */
};

struct trace_range {
	uint32_t id; /* as in struct access */
	const char *name;
	bool device;
	uint32_t program; /* index; of a device: 0 */
	uint64_t address; /* 0 for a device */
	uint64_t length;
};

/* A range as it was kept, where its name and bytes do not say it. */
struct trace_start_range {
	uint32_t id;
	bool joined; /* a run of a rep form's elements is one access */
	const char *device; /* "": none */
};

#define TRACE_START_VIRTUAL_TIME 1u

/* What it takes to start the same run again, beside the rest of the meta. */
struct trace_start {
	const char *directory; /* in which it was started */
	uint64_t memory; /* bytes of RAM */
	uint32_t flags; /* TRACE_START_* */
	const char *kernel; /* path; "": the one inside custos */
	uint64_t kernel_hash; /* XXH3-64 of it */
	const char *const *args; /* of the first program, its name first */
	uint32_t arg_count;
	const struct trace_start_range *ranges;
	uint32_t range_count;
};

struct trace_meta {
	const char *command; /* the command line, as for a shell */
	const char *kvm; /* "svm", "vmx", "pvm", "" */
	uint32_t cpus;
	uint64_t started_ns; /* CLOCK_REALTIME at time 0 */
	uint64_t script_hash; /* XXH3-64; 0: none */
	const struct trace_program *programs;
	uint32_t program_count;
	const struct trace_range *ranges;
	uint32_t range_count;
	const struct trace_start *start; /* NULL: nobody said */
};

/* An instruction that made accesses; ids count from 0 in order of
 * appearance. */
struct trace_site {
	uint64_t process; /* the first seen there */
	uint64_t ip;
	uint8_t insn[ARCH_INSN_MAX];
	uint8_t insn_len; /* 0: a copy of the kernel */
	const char *symbol; /* "main+0x1c" or "0x401234" */
	const char *line; /* "ring.c:41" or "" */
	const char *text; /* "mov [rbx], eax" or "" */
};

/* ---- records ---- */

enum trace_kind {
	TRACE_ACCESS,
	TRACE_PROCESS_START,
	TRACE_PROCESS_EXIT,
	TRACE_BIND, /* a range's bytes, as they were when it was bound */
	TRACE_UNBIND,
	TRACE_MARKER, /* a script's or the guest's own word */
	TRACE_LOST, /* accesses that could not be recorded, and why */
	TRACE_END, /* the run ended in order; the last record */
	TRACE_KIND_MAX
};

#define TRACE_REGS 18 /* 16 gprs in hardware order, rip, rflags */
#define TRACE_STACK_MAX 64 /* return addresses kept of one stack */
#define TRACE_ACCESS_SIZE_MAX 65536 /* bytes of one access */
#define TRACE_TEXT_MAX 4096 /* of a marker; a longer one is cut */

/*
 * Records are in the order in which they were written, which for each byte of
 * memory is the order of its accesses; between CPUs seq may go back a little,
 * and an access to two ranges is two records with the same seq.
 */

struct trace_record {
	enum trace_kind kind;
	uint64_t time_ns; /* since the start */
	uint64_t seq; /* ACCESS: its number. Else: of the last access before */
	/*
	 * ACCESS; pointers are valid until the next record is read. Traces
	 * of other tools may lack values: then old_bytes and final_bytes are
	 * NULL, and new_bytes of stores, too.
	 */
	struct access access;
	enum outcome outcome;
	const uint8_t *final_bytes; /* as for sinks; NULL: not performed */
	uint32_t site;
	const uint64_t *regs; /* TRACE_REGS of them before it, or NULL */
	const uint64_t *stack; /* return addresses, innermost first, or NULL */
	uint32_t stack_count;
	/* PROCESS_START, PROCESS_EXIT, BIND, UNBIND; MARKER: who said it (0: a
	 * script) */
	uint64_t process;
	const char *process_name; /* START; MARKER, if a process's */
	uint32_t program; /* START: index; UINT32_MAX: unknown */
	int64_t exit_code; /* EXIT, END */
	/* BIND, UNBIND: bytes [offset, offset + size) of the range */
	uint32_t range;
	uint64_t offset, size;
	const uint8_t *bytes; /* BIND; NULL for a device */
	/* BIND: which page of memory it is: processes whose bytes are of the
	 * same one share them. 0: not known. */
	uint64_t frame;
	/* MARKER, LOST, END */
	const char *text;
	uint64_t count; /* LOST */
};

/* ---- inputs: what a run cannot be repeated without ---- */

enum trace_input_kind {
	/* All that process has done came before anything that other will. */
	TRACE_INPUT_ORDER = 1,
	/* What an access's record does not say of its answer. */
	TRACE_INPUT_ANSWER,
	/* A keeper changed memory of a process, kept or not. */
	TRACE_INPUT_WRITE,
	TRACE_INPUT_KEEP, /* a range that was not there at the start */
	TRACE_INPUT_RELEASE, /* a range is kept no more */
	TRACE_INPUT_REVOKE, /* what was granted of a range is taken back */
	TRACE_INPUT_TURN, /* a CPU works in the guest's kernel */
	TRACE_INPUT_STATE, /* hash of what the run left: its registers before
			    * each access, its memory */
	TRACE_INPUT_KIND_MAX
};

enum trace_answer {
	TRACE_ANSWER_VALUE = 1, /* bytes: an rmw computed on these */
	TRACE_ANSWER_FAULT, /* denied with another fault than a #PF there */
	TRACE_ANSWER_GRANT, /* value: 1 writes too, 2 to all processes */
	TRACE_ANSWER_STEPS, /* the instructions behind it were stepped, too */
	TRACE_ANSWER_HELD, /* the process waited; others went on */
};

struct trace_input {
	enum trace_input_kind kind;
	uint64_t record; /* so many records are before it; the writer's */
	uint64_t seq; /* ANSWER: of the access; WRITE: of the one that was
		       * being decided, or 0 */
	uint32_t range; /* ANSWER, KEEP, RELEASE, REVOKE */
	enum trace_answer answer;
	uint64_t process, other; /* ORDER; WRITE: process */
	uint64_t address; /* WRITE; FAULT */
	uint64_t value; /* GRANT; FAULT: vector | error code << 32; STATE;
			 * KEEP: 1 when it is joined */
	uint32_t cpu; /* TURN */
	uint32_t size; /* WRITE, VALUE: bytes */
	const uint8_t *bytes; /* valid until the next input is read */
};

/* ---- reading ---- */

struct trace_reader;

/*
 * Open a trace, whole or torn: what cannot be read at its end is told by
 * trace_reader_damage(). -ENOENT, -EACCES, ...; -EINVAL: not a trace, or of a
 * version this library does not know. The file is hostile: whatever it says,
 * no read goes beyond it and no memory beyond a bound is taken.
 */
int trace_reader_open(
	const char *path, struct trace_reader **out, struct error *err);
void trace_reader_close(struct trace_reader *reader); /* NULL is fine */

/* Ranges that came while the program ran are among its ranges. */
const struct trace_meta *trace_reader_meta(const struct trace_reader *reader);

struct trace_totals {
	uint64_t records, accesses, chunks;
	uint64_t seq_first, seq_last;
	uint64_t duration_ns;
	uint64_t lost; /* by the recorder's own word */
	uint64_t file_bytes;
	bool complete; /* has its TRACE_END, index and all chunks */
};
void trace_reader_totals(
	const struct trace_reader *reader, struct trace_totals *out);

/* NULL: nothing is wrong. Else a sentence about what is missing or damaged:
 * "chunk 17 (accesses 1048577 to 1114112): checksum differs". index counts
 * from 0; NULL behind the last. */
const char *trace_reader_damage(
	const struct trace_reader *reader, size_t index);

/* The next record in file order: 1; 0 at the end; -errno. Damaged chunks are
 * left out. */
int trace_reader_next(struct trace_reader *reader, struct trace_record *out,
	struct error *err);

/* So many records are in the file before the one read last, damaged chunks'
 * included. */
uint64_t trace_reader_position(const struct trace_reader *reader);

/* The next input: 1; 0 at the end; -errno. Reads on its own, apart from the
 * records; inputs of kinds that it does not know are left out. */
int trace_reader_input(struct trace_reader *reader, struct trace_input *out,
	struct error *err);

/* Go to the first record whose seq is >= seq (0: the very first). */
int trace_reader_seek(
	struct trace_reader *reader, uint64_t seq, struct error *err);

/*
 * Verify every chunk: after this trace_reader_damage() tells all there is to
 * tell; before, only what opening and reading came across. progress may be
 * NULL; it returns false to end the check early (-ECANCELED). 0, or -errno
 * when the file cannot be read. Does not move the reader.
 */
int trace_reader_check(struct trace_reader *reader,
	bool (*progress)(void *ctx, uint64_t done, uint64_t bytes), void *ctx,
	struct error *err);

/* Known once a record that names it has been read. NULL: no such site. */
const struct trace_site *trace_reader_site(
	const struct trace_reader *reader, uint32_t site);

struct trace_process {
	uint64_t id;
	const char *name;
	uint32_t program; /* index; UINT32_MAX: unknown */
};

/* All processes that ever started; NULL: no such index. From the opening. */
const struct trace_process *trace_reader_process(
	const struct trace_reader *reader, size_t index);

/*
 * The last store (or rmw) before or at seq that left its mark on byte offset of
 * range (UINT64_MAX: in the whole trace), by the index: reads at most a few
 * chunks. process: only what this one stored, for ranges that several processes
 * have of their own (0: any). out is valid until the next such call; reading on
 * with trace_reader_next() is not disturbed. 1 found, 0 none, -errno.
 */
int trace_reader_last_store(struct trace_reader *reader, uint32_t range,
	uint64_t offset, uint64_t process, uint64_t seq,
	struct trace_record *out, struct error *err);

/*
 * Bytes [offset, offset + len) of a range as they were after access seq.
 * known[i] says whether byte i was ever known (bound or stored by then; bytes
 * no longer mapped stay known). process as above. 0 or -errno.
 */
int trace_reader_memory(struct trace_reader *reader, uint32_t range,
	uint64_t process, uint64_t seq, uint64_t offset, uint64_t len,
	uint8_t *bytes, bool *known, struct error *err);

/* ---- writing ---- */

struct trace_writer;

/* What to keep with each access beside what is always kept; a record without
 * it is kept without. */
struct trace_writer_options {
	bool regs, stacks;
	unsigned flush_ms; /* 0: 100 */
};

/* Creates or replaces path. meta is copied (options, too; they may be NULL). */
int trace_writer_open(const char *path, const struct trace_meta *meta,
	const struct trace_writer_options *options, struct trace_writer **out,
	struct error *err);

/*
 * Append. Any thread. kind and the fields for it are read; site is ignored for
 * accesses: where, how and by whom comes from access (ip, insn, process), and
 * site_names is asked once for each new site. After a write error records are
 * counted as lost; the error is returned again and again.
 */
struct trace_site_names {
	void *ctx;
	/* Fill symbol, line and text (strings valid during the call back). */
	void (*name)(void *ctx, const struct access *access,
		struct trace_site *site);
};
int trace_writer_add(struct trace_writer *writer,
	const struct trace_record *record,
	const struct trace_site_names *site_names);

/* The same for an input; its place is behind the records added so far. */
int trace_writer_input(
	struct trace_writer *writer, const struct trace_input *input);

/* A range that was not there at the opening. 0 or the writer's error. */
int trace_writer_range(
	struct trace_writer *writer, const struct trace_range *range);

/* Records lost so far, and the error that is the reason (0: none). Any
 * thread. */
uint64_t trace_writer_lost(struct trace_writer *writer, int *out_status);

/* Flush, write TRACE_END and the index, close. 0 or the first error since the
 * opening, with the lost count told in err. */
int trace_writer_close(
	struct trace_writer *writer, int64_t exit_code, struct error *err);

#endif
