/* SPDX-License-Identifier: MIT */
/*
 * custos emulate: the executor for other programs' tests. One JSON object per
 * line in, one per line out. The memory of a job is the pieces it names;
 * everything else is unmapped.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <custos/decode.h>

#include "base/error.h"
#include "cli/cmd.h"

static const char usage[] =
	"Usage: custos emulate [FILE]\n"
	"\n"
	"Execute x86-64 instructions from given states: one JSON object per "
	"line of FILE\n"
	"(default: standard input) says instruction, registers and memory; "
	"one JSON object\n"
	"per line on standard output says what came out. custos-emulate(1) "
	"has the keys.\n"
	"\n"
	"  $ echo '{\"bytes\":\"480103\",\"regs\":{\"rax\":1,\"rbx\":4096},"
	"\"memory\":\n"
	"    [{\"address\":4096,\"bytes\":\"2900000000000000\"}]}' | custos "
	"emulate\n"
	"\n"
	"  -h, --help  show this help\n"
	"\n"
	"Exit code: 0, or 125 when a line could not be understood (its "
	"output says why).\n";

#define PIECES_MAX 4096
#define STEPS_MAX 1000000
#define XSTATE_MIN 576

struct piece {
	uint64_t address;
	size_t size;
	uint8_t *bytes, *before;
	bool read_only;
};

struct job {
	uint8_t bytes[ARCH_INSN_MAX];
	size_t len;
	struct insn insn;
	struct arch_regs regs;
	struct arch_xstate xstate;
	bool xstate_changed;
	struct piece *pieces;
	size_t piece_count;
	uint64_t steps;
	uint64_t start; /* where the instruction lies */
	struct exec *exec;
	json_t *accesses; /* of all steps */
	struct arch_fault fault;
};

static const char *const gpr_names[ARCH_GPR_MAX] = { "rax", "rcx", "rdx", "rbx",
	"rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15" };

/* ---- reading ---- */

/* A number, or a string that holds one ("0x..." or decimal). */
static int get_number(const json_t *value, const char *what, uint64_t *out,
	struct error *err)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_integer(value)) {
		*out = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (!text || !*text || *text == '-')
		return error_set(err, -EINVAL, "%s is not a number", what);
	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || *end)
		return error_set(
			err, -EINVAL, "%s: `%s' is not a number", what, text);
	return 0;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				       -1;
}

/* Into out[0..capacity); the number of bytes, or -EINVAL. */
static long get_hex(const json_t *value, const char *what, uint8_t *out,
	size_t capacity, struct error *err)
{
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;

	if (!text || len % 2)
		return error_set(err, -EINVAL,
			"%s is not a string of pairs of hex digits", what);
	if (len / 2 > capacity)
		return error_set(err, -EINVAL, "%s has more than %zu bytes",
			what, capacity);
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, -EINVAL,
				"%s holds something else than hex digits",
				what);
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return (long)(len / 2);
}

static uint64_t *find_register(struct arch_regs *regs, const char *name)
{
	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		if (!strcmp(name, gpr_names[i]))
			return &regs->gpr[i];
	if (!strcmp(name, "rip"))
		return &regs->rip;
	if (!strcmp(name, "rflags"))
		return &regs->rflags;
	if (!strcmp(name, "fs_base"))
		return &regs->fs_base;
	return strcmp(name, "gs_base") ? NULL : &regs->gs_base;
}

static int get_regs(json_t *value, struct job *job, struct error *err)
{
	const char *name;
	json_t *number;

	job->regs.rflags = ARCH_RFLAGS_FIXED | ARCH_RFLAGS_IF;
	if (!value)
		return 0;
	if (!json_is_object(value))
		return error_set(err, -EINVAL, "regs is not an object");
	json_object_foreach(value, name, number) {
		uint64_t *reg = find_register(&job->regs, name);

		if (!reg)
			return error_set(err, -EINVAL,
				"there is no register `%s'", name);
		if (get_number(number, name, reg, err))
			return -EINVAL;
	}
	return 0;
}

/* Without one: the initial state. */
static int get_xstate(json_t *value, struct job *job, struct error *err)
{
	static const uint8_t control[] = { 0x7f, 0x03 };
	static const uint8_t mxcsr[] = { 0x80, 0x1f };
	struct arch_xstate *x = &job->xstate;
	long size;

	x->size = XSTATE_MIN;
	memcpy(x->area, control, sizeof(control));
	memcpy(x->area + 24, mxcsr, sizeof(mxcsr));
	if (!value)
		return 0;
	memset(x->area, 0, sizeof(x->area));
	size = get_hex(value, "xstate", x->area, sizeof(x->area), err);
	if (size < 0)
		return -EINVAL;
	if (size < XSTATE_MIN)
		return error_set(err, -EINVAL,
			"xstate has %ld bytes: an XSAVE area has at least %d",
			size, XSTATE_MIN);
	x->size = (size_t)size;
	return 0;
}

static int get_piece(json_t *value, struct job *job, struct error *err)
{
	struct piece *piece = &job->pieces[job->piece_count];
	json_t *bytes = json_object_get(value, "bytes");
	long size;

	if (!json_is_object(value))
		return error_set(
			err, -EINVAL, "a piece of memory is not an object");
	if (get_number(json_object_get(value, "address"), "memory address",
		    &piece->address, err))
		return -EINVAL;
	piece->size = json_string_length(bytes) / 2;
	piece->bytes = malloc(2 * piece->size + 1);
	if (!piece->bytes)
		return error_set(err, -ENOMEM, "out of memory");
	job->piece_count++;
	size = get_hex(bytes, "memory bytes", piece->bytes, piece->size, err);
	if (size < 0)
		return -EINVAL;
	if (!size || piece->address + (piece->size - 1) < piece->address)
		return error_set(err, -EINVAL,
			"the piece of memory at 0x%" PRIx64
			" is empty or wraps around",
			piece->address);
	piece->before = piece->bytes + piece->size;
	memcpy(piece->before, piece->bytes, piece->size);
	piece->read_only = json_is_true(json_object_get(value, "read_only"));
	return 0;
}

static int get_memory(json_t *value, struct job *job, struct error *err)
{
	size_t count = json_array_size(value);

	if (!value)
		return 0;
	if (!json_is_array(value))
		return error_set(err, -EINVAL, "memory is not an array");
	if (count > PIECES_MAX)
		return error_set(err, -EINVAL,
			"memory has more than %d pieces", PIECES_MAX);
	job->pieces = calloc(count + 1, sizeof(*job->pieces));
	if (!job->pieces)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (get_piece(json_array_get(value, i), job, err))
			return -EINVAL;
	return 0;
}

static int check_keys(json_t *line, struct error *err)
{
	static const char *const keys[] = { "id", "bytes", "regs", "xstate",
		"memory", "steps", "alignment_check" };
	const char *name;
	json_t *value;

	json_object_foreach(line, name, value) {
		bool known = false;

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			known = known || !strcmp(name, keys[i]);
		if (!known)
			return error_set(
				err, -EINVAL, "there is no key `%s'", name);
	}
	return 0;
}

static int get_job(json_t *line, struct job *job, struct error *err)
{
	json_t *steps = json_object_get(line, "steps");
	long len;

	if (!json_is_object(line))
		return error_set(err, -EINVAL, "not a JSON object");
	if (check_keys(line, err))
		return -EINVAL;
	len = get_hex(json_object_get(line, "bytes"), "bytes", job->bytes,
		sizeof(job->bytes), err);
	if (len < 0)
		return -EINVAL;
	job->len = (size_t)len;
	job->steps = 1;
	if (steps && get_number(steps, "steps", &job->steps, err))
		return -EINVAL;
	if (job->steps < 1 || job->steps > STEPS_MAX)
		return error_set(err, -EINVAL, "steps is not in 1..%d",
			STEPS_MAX);
	if (get_regs(json_object_get(line, "regs"), job, err) ||
		get_xstate(json_object_get(line, "xstate"), job, err))
		return -EINVAL;
	return get_memory(json_object_get(line, "memory"), job, err);
}

/* ---- memory ---- */

static struct piece *find_piece(struct job *job, uint64_t address)
{
	for (size_t i = 0; i < job->piece_count; i++)
		if (address - job->pieces[i].address < job->pieces[i].size)
			return &job->pieces[i];
	return NULL;
}

static bool is_selected(const struct exec_access *access, uint32_t byte)
{
	return byte >= 64 || (access->byte_mask >> byte & 1);
}

/* Fill old_bytes; false with the page fault when a byte cannot be accessed. */
static bool load(struct job *job, struct exec_access *access)
{
	bool writes = access_writes(access->kind);

	for (uint32_t i = 0; i < access->size; i++) {
		uint64_t address = access->address + i;
		struct piece *piece = find_piece(job, address);

		if (!is_selected(access, i) && !access->probe)
			continue;
		if (piece && !(writes && piece->read_only)) {
			access->old_bytes[i] =
				piece->bytes[address - piece->address];
			continue;
		}
		job->fault.vector = ARCH_VECTOR_PF;
		job->fault.address = address;
		job->fault.error_code = ARCH_PF_USER |
			(writes ? ARCH_PF_WRITE : 0) |
			(piece ? ARCH_PF_PRESENT : 0);
		return false;
	}
	return true;
}

static void store(struct job *job, const struct exec_access *access)
{
	for (uint32_t i = 0; i < access->size; i++) {
		uint64_t address = access->address + i;

		if (is_selected(access, i)) {
			struct piece *piece = find_piece(job, address);

			piece->bytes[address - piece->address] =
				access->new_bytes[i];
		}
	}
}

/* ---- writing ---- */

static json_t *hex_number(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

static json_t *hex_bytes(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * size + 1);
	json_t *value;

	if (!text)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * size] = '\0';
	value = json_string(text);
	free(text);
	return value;
}

static json_t *access_json(const struct job *job, struct exec_access *access)
{
	json_t *value = json_object();
	uint64_t all = access->size >= 64 ?
		~UINT64_C(0) :
		(UINT64_C(1) << access->size) - 1;

	json_object_set_new(value, "kind",
		json_string(access_kind_name(access->kind)));
	json_object_set_new(value, "address", hex_number(access->address));
	json_object_set_new(value, "size", json_integer(access->size));
	if (access_reads(access->kind))
		json_object_set_new(value, "old",
			hex_bytes(access->old_bytes, access->size));
	if (access_writes(access->kind))
		json_object_set_new(value, "new",
			hex_bytes(access->new_bytes, access->size));
	if ((access->byte_mask & all) != all)
		json_object_set_new(
			value, "mask", hex_number(access->byte_mask & all));
	if (job->insn.operands[access->operand].vsib)
		json_object_set_new(
			value, "lane", json_integer(access->lane));
	return value;
}

static json_t *regs_json(const struct arch_regs *regs)
{
	json_t *value = json_object();

	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		json_object_set_new(
			value, gpr_names[i], hex_number(regs->gpr[i]));
	json_object_set_new(value, "rip", hex_number(regs->rip));
	json_object_set_new(value, "rflags", hex_number(regs->rflags));
	return value;
}

static const char *vector_name(enum arch_vector vector)
{
	switch (vector) {
	case ARCH_VECTOR_DE:
		return "#DE";
	case ARCH_VECTOR_UD:
		return "#UD";
	case ARCH_VECTOR_SS:
		return "#SS";
	case ARCH_VECTOR_GP:
		return "#GP";
	case ARCH_VECTOR_PF:
		return "#PF";
	case ARCH_VECTOR_MF:
		return "#MF";
	case ARCH_VECTOR_AC:
		return "#AC";
	case ARCH_VECTOR_XM:
		return "#XM";
	case ARCH_VECTOR_DB:
	case ARCH_VECTOR_BP:
	case ARCH_VECTOR_NM:
	case ARCH_VECTOR_DF:
		break;
	}
	return "?";
}

static json_t *fault_json(const struct arch_fault *fault)
{
	json_t *value = json_pack("{s:s, s:i, s:i}", "name",
		vector_name(fault->vector), "vector", (int)fault->vector,
		"error_code", (int)fault->error_code);

	if (fault->vector == ARCH_VECTOR_PF)
		json_object_set_new(
			value, "address", hex_number(fault->address));
	return value;
}

/* The parts of memory that are not what they were. */
static json_t *memory_json(const struct job *job)
{
	json_t *list = json_array();

	for (size_t i = 0; i < job->piece_count; i++) {
		const struct piece *p = &job->pieces[i];

		for (size_t from = 0, to; from < p->size; from = to + 1) {
			to = from;
			while (to < p->size && p->bytes[to] != p->before[to])
				to++;
			if (to == from)
				continue;
			json_array_append_new(list,
				json_pack("{s:o, s:o}", "address",
					hex_number(p->address + from), "bytes",
					hex_bytes(p->bytes + from, to - from)));
		}
	}
	return list;
}

/* ---- one job ---- */

static void commit(struct job *job, unsigned count, bool retired)
{
	const struct arch_xstate *xstate = exec_xstate(job->exec);

	for (unsigned i = 0; i < count; i++) {
		struct exec_access *access = exec_access(job->exec, i);

		if (access->probe)
			continue;
		if (access_writes(access->kind))
			store(job, access);
		json_array_append_new(job->accesses, access_json(job, access));
	}
	if (retired)
		job->regs = *exec_regs(job->exec);
	if (xstate) {
		job->xstate = *xstate;
		job->xstate_changed = true;
	}
}

static enum exec_status fault_at(struct job *job, unsigned access)
{
	if (exec_run_lanes(job->exec, access) == EXEC_OK)
		commit(job, job->insn.operands[0].vsib ? access : 0, true);
	return EXEC_FAULT;
}

static enum exec_status step(struct job *job)
{
	struct exec *exec = job->exec;
	enum exec_status status =
		exec_plan(exec, &job->insn, &job->regs, &job->xstate);

	for (unsigned i = 0; status == EXEC_OK && i < exec_count(exec); i++)
		if (!load(job, exec_access(exec, i)))
			return fault_at(job, i);
	if (status == EXEC_OK)
		status = exec_run(exec);
	if (status == EXEC_OK)
		commit(job, exec_count(exec), true);
	if (status == EXEC_FAULT) {
		job->fault = *exec_fault(exec);
		commit(job, 0, false);
	}
	return status;
}

static enum exec_status run(struct job *job)
{
	enum exec_status status;

	job->start = job->regs.rip;
	if (job->insn.method != INSN_EXECUTE)
		return EXEC_CANNOT;
	do
		status = step(job);
	while (status == EXEC_OK && --job->steps && job->regs.rip == job->start);
	return status;
}

static void report(struct job *job, enum exec_status status, json_t *out)
{
	static const char *const names[] = {
		[EXEC_OK] = "ok",
		[EXEC_FAULT] = "fault",
		[EXEC_CANNOT] = "cannot",
	};
	char text[160];

	decode_text(&job->insn, job->start, text, sizeof(text));
	json_object_set_new(out, "status", json_string(names[status]));
	json_object_set_new(out, "text", json_string(text));
	json_object_set_new(out, "length", json_integer(job->insn.length));
	if (status == EXEC_CANNOT)
		return;
	if (status == EXEC_FAULT)
		json_object_set_new(out, "fault", fault_json(&job->fault));
	json_object_set_new(out, "regs", regs_json(&job->regs));
	if (job->xstate_changed)
		json_object_set_new(out, "xstate",
			hex_bytes(job->xstate.area, job->xstate.size));
	json_object_set_new(out, "memory", memory_json(job));
	json_object_set(out, "accesses", job->accesses);
}

static void free_job(struct job *job)
{
	for (size_t i = 0; i < job->piece_count; i++)
		free(job->pieces[i].bytes);
	free(job->pieces);
	json_decref(job->accesses);
	free(job);
}

static struct job *create_job(struct exec *exec)
{
	struct job *job = aligned_alloc(64, sizeof(*job));

	if (!job)
		return NULL;
	memset(job, 0, sizeof(*job));
	job->exec = exec;
	job->accesses = json_array();
	return job;
}

/* 0, or -errno with *err: then out says nothing but id. */
static int emulate(
	struct exec *exec, json_t *line, json_t *out, struct error *err)
{
	struct job *job = create_job(exec);
	int result;

	if (!job)
		return error_set(err, -ENOMEM, "out of memory");
	result = get_job(line, job, err);
	if (!result &&
		decode_insn(job->bytes, job->len, &job->insn))
		result = error_set(err, -EINVAL,
			"bytes are no complete user-mode instruction");
	exec_set_alignment_check(
		exec, json_is_true(json_object_get(line, "alignment_check")));
	if (!result)
		report(job, run(job), out);
	free_job(job);
	return result;
}

/* ---- the command ---- */

static int print_json(const json_t *value)
{
	return json_dumpf(value, stdout, JSON_COMPACT) || putchar('\n') == EOF ?
		cmd_fail("emulate", "cannot write: %s", strerror(errno)) :
		0;
}

static int do_line(struct exec *exec, const char *text, size_t len,
	unsigned long number, bool *understood)
{
	json_error_t parse_error;
	json_t *line =
		json_loadb(text, len, JSON_REJECT_DUPLICATES, &parse_error);
	json_t *out = json_object(), *id = json_object_get(line, "id");
	struct error err = { 0 };
	int result;

	if (id)
		json_object_set(out, "id", id);
	if (!line)
		error_set(&err, -EINVAL, "not JSON: %s", parse_error.text);
	else
		emulate(exec, line, out, &err);
	if (err.code) {
		*understood = false;
		json_object_set_new(out, "status", json_string("error"));
		json_object_set_new(out, "error",
			json_sprintf("line %lu: %s", number, err.text));
	}
	result = print_json(out);
	json_decref(out);
	json_decref(line);
	return result;
}

static int do_lines(struct exec *exec, FILE *in)
{
	unsigned long number = 0;
	bool understood = true;
	char *text = NULL;
	size_t capacity = 0;
	ssize_t len;
	int result = 0;

	while (!result && (len = getline(&text, &capacity, in)) > 0) {
		number++;
		if (strspn(text, " \t\r\n") == (size_t)len)
			continue;
		result = do_line(
			exec, text, (size_t)len, number, &understood);
	}
	free(text);
	if (!result && ferror(in))
		result = cmd_fail("emulate", "cannot read: %s", strerror(errno));
	if (!result && fflush(stdout))
		result = cmd_fail("emulate", "cannot write: %s", strerror(errno));
	return result ? result : understood ? CLI_OK : CLI_FAILED;
}

static int run_file(const char *path)
{
	struct exec *exec = exec_create();
	FILE *in = path ? fopen(path, "re") : stdin;
	int result;

	if (!exec)
		result = cmd_fail("emulate", "out of memory");
	else if (!in)
		result = cmd_fail("emulate", "cannot open %s: %s", path,
			strerror(errno));
	else
		result = do_lines(exec, in);
	if (path && in)
		fclose(in);
	exec_destroy(exec);
	return result;
}

int cmd_emulate(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (option != 'h')
			return cmd_usage_error("emulate",
				"unknown option: %s", argv[optind - 1]);
		fputs(usage, stdout);
		return fflush(stdout) ? CLI_FAILED : CLI_OK;
	}
	if (argc - optind > 1)
		return cmd_usage_error("emulate", "more than one file");
	return run_file(optind < argc ? argv[optind] : NULL);
}
