/* SPDX-License-Identifier: MIT */
#include "cli/run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/invariant.h"
#include "cli/cmd.h"

#define MEMORY_MIN (UINT64_C(2) << 20)

enum { OPT_CPUS = 256, OPT_MEMORY, OPT_JSON, OPT_PRINT, OPT_TRUST, OPT_BUDGET,
	OPT_DEFAULT, OPT_KERNEL, OPT_VIRTUAL_TIME, OPT_NO_TABLE_SHARING,
	OPT_REP, OPT_WHEN, OPT_PLUGIN, OPT_COST, OPT_DRY_RUN, OPT_DOT,
	OPT_REGS, OPT_STACKS, OPT_RUN, OPT_CHANGED,
	OPT_BUILTIN /* and one more for each built-in keeper */ };

/* Of every command that has keepers. */
static const struct option keeper_options[] = {
	{ "keep", required_argument, NULL, 'k' },
	{ "script", required_argument, NULL, 's' },
	{ "output", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "print", no_argument, NULL, OPT_PRINT },
	{ "when", required_argument, NULL, OPT_WHEN },
	{ "plugin", required_argument, NULL, OPT_PLUGIN },
	{ "cost", no_argument, NULL, OPT_COST },
	{ "default", required_argument, NULL, OPT_DEFAULT },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "trust-script", no_argument, NULL, OPT_TRUST },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct option run_options[] = {
	{ "module", required_argument, NULL, 'm' },
	{ "record", required_argument, NULL, 'r' },
	{ "regs", no_argument, NULL, OPT_REGS },
	{ "stacks", no_argument, NULL, OPT_STACKS },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "rep", required_argument, NULL, OPT_REP },
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "virtual-time", no_argument, NULL, OPT_VIRTUAL_TIME },
	{ "no-table-sharing", no_argument, NULL, OPT_NO_TABLE_SHARING },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "dot", no_argument, NULL, OPT_DOT },
	{ NULL, 0, NULL, 0 },
};

static const struct option replay_options[] = {
	{ "run", no_argument, NULL, OPT_RUN },
	{ "changed", no_argument, NULL, OPT_CHANGED },
	{ NULL, 0, NULL, 0 },
};

static const char help_start[] =
	"Usage: custos run [OPTIONS] PROGRAM [ARG...]\n"
	"       custos run [OPTIONS] SYSTEM.lua [ARG...]\n"
	"\n"
	"Run PROGRAM, a static ELF executable made with custos's guest library,\n"
	"in a virtual machine. Every load, store and fetch that touches a kept\n"
	"byte is decided by a keeper, or printed when there is no script.\n"
	"SYSTEM.lua describes a system of several programs, memory they share and\n"
	"who may do what with it; see custos-system(5).\n"
	"\n"
	"  -k, --keep RANGE      keep these bytes; may be given many times:\n"
	"                        [PROGRAM!]SYMBOL, SYMBOL.MEMBER[N].MEMBER,\n"
	"                        SYMBOL+OFF+LEN, 0xADDR+LEN, 0xA..0xB (B\n"
	"                        exclusive), device:NAME+LEN\n";

static const char help_end[] =
	"  -s, --script FILE     a keeper in Lua, see custos-lua(3)\n"
	"  -m, --module FILE     another program, for PROGRAM to start\n"
	"      --cpus N          virtual CPUs, 1 to 16 (default 1)\n"
	"      --memory SIZE     RAM, e.g. 64M, 2G (default 64M)\n"
	"      --plugin FILE[:ARGUMENT]\n"
	"                        a keeper in C, see custos-keeper(3)\n"
	"      --json            accesses and summary as JSON lines\n"
	"      --when CONDITIONS ask the keeper of the range before it only about\n"
	"                        these: load, store, rmw, fetch, changed, size=N,\n"
	"                        value=N (!=, <, >), process=NAME, ip=RANGE,\n"
	"                        every=N\n"
	"      --rep WHAT        what an access of rep movs, stos or lods to a range\n"
	"                        of -k is: each element (default), or a run\n"
	"      --print           print accesses though there is a script\n"
	"      --cost            measure where the time goes: keepers, traps\n"
	"  -o, --output FILE     write accesses and summary to FILE, not stderr\n"
	"  -r, --record FILE     record the run in FILE, for custos trace; accesses\n"
	"                        are printed only with --print, --json or -o then\n"
	"      --regs            record the registers before each access\n"
	"      --stacks          record the return addresses of each access\n"
	"      --default VERDICT what applies when a keeper fails: pass or deny\n"
	"      --budget MS       time a script callback may take (default 100)\n"
	"      --trust-script    give the script io, os, load and require\n"
	"      --virtual-time    count time in kernel entries: with one CPU, the\n"
	"                        same run every time\n"
	"      --no-table-sharing\n"
	"                        mapping tables of each process its own\n"
	"      --dry-run         check SYSTEM.lua and print what it describes, with\n"
	"                        --json as JSON; nothing runs\n"
	"      --dot             the same as a graph for Graphviz\n"
	"      --kernel FILE     another guest kernel than the built-in one\n"
	"  -q, --quiet           no summary\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit code: the program's own; 124 when a keeper stopped it, 125 when\n"
	"custos failed, 126 when PROGRAM cannot be run, 127 when it is not there,\n"
	"130 when interrupted, 134 when the guest's kernel broke.\n";

static const char replay_start[] =
	"Usage: custos replay [OPTIONS] TRACE [PROGRAM...]\n"
	"\n"
	"Have keepers see a recorded run. What they answer is compared with what\n"
	"was answered then. With --run the same program runs once more, is fed what\n"
	"was recorded, and the first difference is told.\n"
	"\n"
	"PROGRAM: where a program is now, if not where it was.\n"
	"\n"
	"      --run             run the program again\n"
	"      --changed         accept programs that are not what they were\n"
	"  -k, --keep RANGE      of what was recorded, only these bytes, as for\n"
	"                        custos run (default: all)\n";

static const char replay_end[] =
	"  -s, --script FILE     a keeper in Lua, see custos-lua(3)\n"
	"      --plugin FILE[:ARGUMENT]\n"
	"                        a keeper in C, see custos-keeper(3)\n"
	"      --when CONDITIONS ask the keeper of the range before it only about\n"
	"                        these, as for custos run\n"
	"      --json            accesses and summary as JSON lines\n"
	"      --print           print accesses though there is a script\n"
	"      --cost            measure where the time goes\n"
	"  -o, --output FILE     write accesses and summary to FILE, not stderr\n"
	"      --default VERDICT what applies when a keeper fails: pass or deny\n"
	"      --budget MS       time a script callback may take (default 100)\n"
	"      --trust-script    give the script io, os, load and require\n"
	"  -q, --quiet           no summary\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit code: 0 when all was as recorded; 1 when something was not, and that\n"
	"has been said; 124 when a keeper stopped it, 125 when custos failed, 126\n"
	"when a program is not what it was, 127 when it is not there, 130 when\n"
	"interrupted.\n";

static int print_help(const struct run_options *o)
{
	fputs(o->replays ? replay_start : help_start, stdout);
	fputs("Built-in keepers, each may be given many times:\n", stdout);
	for (const struct builtin *b = builtin_table; b->name; b++) {
		char option[64];

		snprintf(option, sizeof(option), "--%s %s", b->name,
			b->argument);
		printf("      %-17s %s\n", option, b->help);
	}
	fputs(o->replays ? replay_end : help_end, stdout);
	return fflush(stdout) ? CLI_FAILED : CLI_OK;
}

static int add_keep(struct run_options *o, const struct builtin *builtin,
	bool plugin)
{
	struct run_keep *keeps;

	if (o->keep_count == RUN_LIST_MAX)
		return cmd_fail(o->verb, "more than %d ranges", RUN_LIST_MAX);
	keeps = realloc(o->keeps, (o->keep_count + 1) * sizeof(*keeps));
	if (!keeps)
		return cmd_fail(o->verb, "out of memory");
	keeps[o->keep_count++] = (struct run_keep){
		.text = optarg,
		.builtin = builtin,
		.plugin = plugin,
	};
	o->keeps = keeps;
	return -1;
}

static int add_condition(struct run_options *o)
{
	if (!o->keep_count)
		return cmd_usage_error(o->verb,
			"--when %s: it comes behind the range it is about",
			optarg);
	if (o->keeps[o->keep_count - 1].when)
		return cmd_usage_error(o->verb,
			"--when %s: this range has conditions; write them as "
			"one, with spaces between",
			optarg);
	o->keeps[o->keep_count - 1].when = optarg;
	return -1;
}

static bool add(struct run_list *list, const char *item)
{
	const char **items;

	if (list->count == RUN_LIST_MAX)
		return false;
	items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (!items)
		return false;
	items[list->count++] = item;
	list->items = items;
	return true;
}

static bool read_number(const char *text, unsigned long max, unsigned *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value > max)
		return false;
	*out = (unsigned)value;
	return true;
}

/* 512K, 64M, 2G; a plain number is bytes. */
static bool read_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	*out = value;
	if (!*end)
		return true;
	unit = strchr(units, *end);
	if (!unit || (end[1] && strcmp(end + 1, "B") && strcmp(end + 1, "iB")))
		return false;
	return checked_mul(
		value, UINT64_C(1) << (10 * (unit - units + 1)), out);
}

static int wrong(const struct run_options *o, const char *option,
	const char *value, const char *want)
{
	return cmd_usage_error(
		o->verb, "%s: `%s' is not %s", option, value, want);
}

static int take_limits(int option, struct run_options *o)
{
	switch (option) {
	case OPT_CPUS:
		if (!read_number(optarg, 16, &o->cpus) || !o->cpus)
			return wrong(o, "--cpus", optarg,
				"a number of CPUs from 1 to 16");
		return -1;
	case OPT_MEMORY:
		if (!read_size(optarg, &o->memory))
			return wrong(o, "--memory", optarg,
				"a size such as 64M or 2G");
		if (o->memory < MEMORY_MIN)
			return wrong(o, "--memory", optarg,
				"enough: a guest needs at least 2M");
		return -1;
	case OPT_BUDGET:
		if (!read_number(optarg, 3600000, &o->budget_ms) ||
			!o->budget_ms)
			return wrong(o, "--budget", optarg,
				"a time in milliseconds, at least 1");
		return -1;
	case OPT_REP:
		if (!strcmp(optarg, "run"))
			o->joined = true;
		else if (strcmp(optarg, "element"))
			return wrong(o, "--rep", optarg, "run or element");
		return -1;
	case OPT_DEFAULT:
		if (!strcmp(optarg, "deny"))
			o->fallback = VERDICT_DENY;
		else if (strcmp(optarg, "pass"))
			return wrong(o, "--default", optarg, "pass or deny");
		return -1;
	default:
		/* getopt has said what is wrong. */
		fprintf(stderr, "Try `custos %s --help'.\n", o->verb);
		return CLI_FAILED;
	}
}

static int take(int option, struct run_options *o)
{
	switch (option) {
	case 'k':
		o->plain_count++;
		return add_keep(o, NULL, false);
	case 'm':
		if (!add(&o->modules, optarg))
			return cmd_fail(o->verb, "too many modules");
		break;
	case 's':
		o->script = optarg;
		break;
	case 'o':
		o->output = optarg;
		break;
	case 'r':
		o->record = optarg;
		break;
	case OPT_REGS:
		o->record_regs = true;
		break;
	case OPT_STACKS:
		o->record_stacks = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_PRINT:
		o->print = true;
		break;
	case OPT_COST:
		o->cost = true;
		break;
	case OPT_WHEN:
		return add_condition(o);
	case OPT_PLUGIN:
		return add_keep(o, NULL, true);
	case OPT_TRUST:
		o->trusted = true;
		break;
	case OPT_VIRTUAL_TIME:
		o->virtual_time = true;
		break;
	case OPT_NO_TABLE_SHARING:
		o->no_table_sharing = true;
		break;
	case OPT_DRY_RUN:
		o->dry_run = true;
		break;
	case OPT_DOT:
		o->dot = true;
		break;
	case OPT_KERNEL:
		o->kernel = optarg;
		break;
	case 'h':
		return print_help(o);
	case OPT_RUN:
		o->again = true;
		break;
	case OPT_CHANGED:
		o->changed = true;
		break;
	default:
		if (option >= OPT_BUILTIN)
			return add_keep(o,
				&builtin_table[option - OPT_BUILTIN], false);
		return take_limits(option, o);
	}
	return -1;
}

#define LONG_OPTIONS_MAX 64

static size_t append(
	struct option *out, size_t n, const struct option *options)
{
	for (; options->name; options++) {
		invariant(n + 1 < LONG_OPTIONS_MAX);
		out[n++] = *options;
	}
	return n;
}

/* Our own options and one for every built-in keeper. */
static void make_options(const struct run_options *o, struct option *out)
{
	size_t n = append(out, 0, keeper_options);

	n = append(out, n, o->replays ? replay_options : run_options);
	for (const struct builtin *b = builtin_table; b->name; b++) {
		invariant(n + 1 < LONG_OPTIONS_MAX);
		out[n++] = (struct option){ b->name, required_argument, NULL,
			OPT_BUILTIN + (int)(b - builtin_table) };
	}
	out[n] = (struct option){ 0 };
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len > suffix_len && !strcmp(text + len - suffix_len, suffix);
}

static int read_options(int argc, char **argv, struct run_options *out)
{
	struct option long_options[LONG_OPTIONS_MAX];
	const char *letters = out->replays ? "+k:s:o:qh" : "+k:s:o:m:r:qh";
	int option, code;

	make_options(out, long_options);
	optind = 1;
	while ((option = getopt_long(
			argc, argv, letters, long_options, NULL)) != -1) {
		code = take(option, out);
		if (code >= 0)
			return code;
	}
	out->line = argv;
	out->args = argv + optind;
	out->arg_count = (unsigned)(argc - optind);
	return -1;
}

#define RUN_OPTIONS_INIT                                                       \
	((struct run_options){ .verb = "run",                                  \
		.cpus = 1,                                                     \
		.memory = UINT64_C(64) << 20,                                  \
		.fallback = VERDICT_PASS })

int run_options_read(int argc, char **argv, struct run_options *out)
{
	int code;

	*out = RUN_OPTIONS_INIT;
	argv[0] = "custos run"; /* for getopt's own messages */
	code = read_options(argc, argv, out);
	if (code >= 0)
		return code;
	if (!out->arg_count)
		return cmd_usage_error("run", "no program was named");
	if ((out->record_regs || out->record_stacks) && !out->record)
		return cmd_usage_error("run",
			"--%s needs -r FILE, where to record them",
			out->record_regs ? "regs" : "stacks");
	out->system = has_suffix(out->args[0], ".lua");
	if ((out->dry_run || out->dot) && !out->system)
		return cmd_usage_error("run",
			"--%s wants a system description, a file NAME.lua",
			out->dry_run ? "dry-run" : "dot");
	return -1;
}

int replay_options_read(int argc, char **argv, struct run_options *out)
{
	int code;

	*out = RUN_OPTIONS_INIT;
	out->verb = "replay";
	out->replays = true;
	argv[0] = "custos replay";
	code = read_options(argc, argv, out);
	if (code >= 0)
		return code;
	if (!out->arg_count)
		return cmd_usage_error("replay", "no trace was named");
	out->trace = *out->args++;
	out->arg_count--;
	return -1;
}

void run_options_free(struct run_options *options)
{
	free(options->keeps);
	free(options->modules.items);
}
