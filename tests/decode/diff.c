/* SPDX-License-Identifier: MIT */
/*
 * The executor against the CPU: every form, random states, one instruction by
 * single step in a traced child and once through exec_run(). Registers, all
 * flags (undefined ones, too: it is the same CPU), extended state, memory and
 * faults must be the same.
 *
 * Usage: diff [-n SEEDS] [-s FIRST-SEED] [-t SECONDS] [-m MNEMONIC] [-v] [FILE]
 */
#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "decode/exec_impl.h"
#include "tests/decode/forms.h"
#include "tests/decode/model.h"
#include "tests/decode/native.h"
#include "tests/decode/world.h"

enum verdict { SAME, DIFFERENT, STEP, ABSENT, NO_ACCESS, NOT_TRIED, VERDICTS };

static const char *const verdict_names[VERDICTS] = { "same", "DIFFERENT",
	"left to step", "not on this cpu", "no access", "not tried" };

#define CLASSES_MAX 128

struct tally {
	const char *class;
	unsigned forms[VERDICTS];
	unsigned long runs, faults;
};

static struct {
	unsigned seeds, first_seed, seconds, failures, tolerated;
	const char *mnemonic;
	bool verbose;
} options = { .seeds = 4, .seconds = 0 };

static struct tally tallies[CLASSES_MAX];
static unsigned tally_count;
static struct native native;
static struct model model;
static struct state before;
static struct outcome cpu, custos;

static struct tally *tally_of(const char *class)
{
	for (unsigned i = 0; i < tally_count; i++)
		if (!strcmp(tallies[i].class, class))
			return &tallies[i];
	if (tally_count == CLASSES_MAX)
		abort();
	tallies[tally_count].class = class;
	return &tallies[tally_count++];
}

/* ---- one execution ---- */

/* Mostly inside, sometimes across the end of memory or outside. */
static uint64_t choose_target(struct random *r)
{
	uint64_t middle = DATA_ADDRESS + DATA_SIZE / 4 +
		random_below(r, DATA_SIZE / 2);

	switch (random_below(r, 24)) {
	case 0:
		return DATA_ADDRESS + DATA_SIZE - random_below(r, 72);
	case 1:
		return DATA_ADDRESS - random_below(r, 72);
	case 2:
		return DATA_ADDRESS + DATA_SIZE + random_below(r, 64);
	case 3:
		return READONLY_ADDRESS + random_below(r, DATA_SIZE);
	case 4:
		return random_next(r) | UINT64_C(1) << 60; /* not canonical */
	case 5:
	case 6:
		return middle;
	case 7:
		return middle & ~UINT64_C(15);
	default:
		return middle & ~UINT64_C(63);
	}
}

static void fill_memory(struct random *r, uint64_t target)
{
	uint64_t start = target - DATA_ADDRESS - 128;
	uint8_t bytes[320];

	if (target - READONLY_ADDRESS < DATA_SIZE)
		start = target - READONLY_ADDRESS;
	if (start > DATA_SIZE - sizeof(bytes))
		start = 0;
	world_fill_bytes(r, bytes, sizeof(bytes));
	memcpy(native.data + start, bytes, sizeof(bytes));
	memcpy(model.data + start, bytes, sizeof(bytes));
}

/* A jump through memory should mostly lead somewhere. */
static void fill_branch_target(struct random *r, uint64_t target)
{
	uint64_t value = CODE_ADDRESS + random_below(r, 256);

	if (random_once_in(r, 4) || target - DATA_ADDRESS > DATA_SIZE - 8)
		return;
	memcpy(native.data + (target - DATA_ADDRESS), &value, 8);
	memcpy(model.data + (target - DATA_ADDRESS), &value, 8);
}

/* Random bytes are hardly ever a state that xrstor takes. */
static void fill_state(struct random *r, uint64_t target)
{
	static struct state other;
	uint64_t bv, at = target - DATA_ADDRESS;

	if (random_once_in(r, 4) || at > DATA_SIZE - sizeof(other.xstate.area))
		return;
	world_fill(r, &native.xstate, &other);
	bv = xstate_bv(&other.xstate) & (random_next(r) | ~UINT64_C(0xff));
	memcpy(other.xstate.area + 512, &bv, sizeof(bv));
	memcpy(native.data + at, other.xstate.area, other.xstate.size);
	memcpy(model.data + at, other.xstate.area, other.xstate.size);
}

/* The tracer's TF is in what pushf pushes; it is not the program's. */
static void drop_tf(const struct insn *insn)
{
	uint64_t at = cpu.state.regs.gpr[ARCH_RSP] - DATA_ADDRESS;

	cpu.state.regs.rflags &= ~(uint64_t)ARCH_RFLAGS_TF;
	if (insn->internal.form == FORM_PUSH_FLAGS && !cpu.faulted &&
		at < DATA_SIZE - 8)
		native.data[at + 1] &= 0xfe;
}

static bool is_state(const struct insn *insn)
{
	return insn->internal.form == FORM_XSAVE ||
		insn->internal.form == FORM_XRSTOR;
}

static bool same_fault(const struct insn *insn)
{
	if (cpu.faulted != custos.faulted)
		return false;
	if (!cpu.faulted)
		return true;
	/* SIGFPE does not tell #MF from #XM. */
	if (cpu.fault.vector == ARCH_VECTOR_MF ||
		cpu.fault.vector == ARCH_VECTOR_XM)
		return custos.fault.vector == ARCH_VECTOR_MF ||
			custos.fault.vector == ARCH_VECTOR_XM;
	/* An operand of several pages may be tried from its end. */
	return cpu.fault.vector == custos.fault.vector &&
		cpu.fault.address - custos.fault.address + 4096 <
			(is_state(insn) ? 16384 : 8192);
}

static bool same_regs(void)
{
	const struct arch_regs *a = &cpu.state.regs, *b = &custos.state.regs;
	uint64_t flags = ~(uint64_t)(ARCH_RFLAGS_RF | ARCH_RFLAGS_TF);

	return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->rip == b->rip &&
		(a->rflags & flags) == (b->rflags & flags);
}

static void show_fault(const char *who, const struct outcome *o)
{
	if (o->faulted)
		printf("    %s: fault %d at 0x%" PRIx64 "\n", who,
			o->fault.vector, o->fault.address);
	else
		printf("    %s: no fault\n", who);
}

static void show_regs(void)
{
	const struct arch_regs *a = &cpu.state.regs, *b = &custos.state.regs;

	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		if (a->gpr[i] != b->gpr[i])
			printf("    r%u was %" PRIx64 ", cpu %" PRIx64
			       ", custos %" PRIx64 "\n",
				i, before.regs.gpr[i], a->gpr[i], b->gpr[i]);
	printf("    rip cpu %" PRIx64 " custos %" PRIx64 ", flags was %" PRIx64
	       " cpu %" PRIx64 " custos %" PRIx64 "\n",
		a->rip, b->rip, before.regs.rflags, a->rflags, b->rflags);
}

static void show_memory(void)
{
	unsigned shown = 0;

	for (size_t i = 0; i < DATA_SIZE && shown < 16; i++)
		if (native.data[i] != model.data[i] && shown++ < 16)
			printf("    memory +0x%zx: cpu %02x custos %02x\n", i,
				native.data[i], model.data[i]);
}

static void show(const struct form *form, const struct insn *insn, uint64_t seed,
	uint64_t target)
{
	char text[128];

	decode_text(insn, CODE_ADDRESS, text, sizeof(text));
	printf("  %s (%s, seed %" PRIu64 "): %s [", form->name, form->class,
		seed, text);
	for (unsigned i = 0; i < insn->length; i++)
		printf("%02x", insn->bytes[i]);
	printf("] operand at 0x%" PRIx64 "\n", target);
	show_fault("cpu", &cpu);
	show_fault("custos", &custos);
	show_regs();
	show_memory();
	world_xstate_differs(&cpu.state.xstate, &custos.state.xstate, true);
}

static bool matches(const struct insn *insn)
{
	return same_fault(insn) && same_regs() &&
		!memcmp(native.data, model.data, DATA_SIZE) &&
		!world_xstate_differs(
			&cpu.state.xstate, &custos.state.xstate, false);
}

static bool is_intel(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) &&
		ebx == signature_INTEL_ebx;
}

/*
 * Which of two faults comes first, what a fault leaves in registers that count
 * for nothing then, flags in the middle of a rep and upper halves of 32-bit
 * string registers are as on Intel CPUs; manuals leave them open.
 */
static bool is_model_specific(const struct insn *insn)
{
	return cpu.faulted || custos.faulted ||
		(insn->repeated &&
			(insn->address32 ||
				cpu.state.regs.rip == before.regs.rip));
}

/*
 * What is known to differ, and why:
 *  - a cache flush checks rights like a load. The executor makes no access of
 *    it, so a page fault is the caller's to find.
 *  - x87 stores of more than eight bytes that cross into a missing page have
 *    written their first part. The executor is all or nothing.
 *  - enter that faults has written its pushes below the stack pointer, where
 *    nothing lives; done again it writes them again.
 *  - xrstor reads the header first and may find fault with it before it finds
 *    other parts of the area missing. The executor has one access for all.
 *  - a call to a non-canonical address has written the return address below
 *    the stack pointer before it faults, here. The executor commits nothing
 *    with a fault.
 */
static bool is_excepted(const struct insn *insn)
{
	if (!is_intel() && is_model_specific(insn)) {
		options.tolerated++;
		return true;
	}
	if (insn->internal.form == FORM_FLUSH)
		return cpu.faulted && cpu.fault.vector == ARCH_VECTOR_PF;
	if (insn->internal.form >= FORM_CALL_REL &&
		insn->internal.form <= FORM_CALL_MEM && cpu.faulted &&
		cpu.fault.vector == ARCH_VECTOR_GP && same_fault(insn)) {
		memcpy(model.data, native.data, DATA_SIZE);
		return same_regs();
	}
	if (insn->internal.form == FORM_XRSTOR && cpu.faulted &&
		custos.faulted && cpu.fault.vector == ARCH_VECTOR_GP)
		return custos.fault.vector == ARCH_VECTOR_PF && same_regs();
	if (insn->internal.x87 && insn->operands[0].kind == ACCESS_STORE &&
		insn->operands[0].size > 8 && cpu.faulted &&
		same_fault(insn)) {
		memcpy(model.data, native.data, DATA_SIZE);
		return same_regs();
	}
	if (insn->internal.form == FORM_ENTER && cpu.faulted && same_fault(insn)) {
		memcpy(model.data, native.data, DATA_SIZE);
		return same_regs();
	}
	return false;
}

static enum verdict compare(const struct form *form, const struct insn *insn,
	uint64_t seed, uint64_t target)
{
	struct tally *tally = tally_of(form->class);
	bool same;

	if (!model_step(&model, insn, &before, &custos))
		return STEP;
	if (!native_step(&native, insn, &before, &cpu))
		return NOT_TRIED;
	if (cpu.faulted && cpu.fault.vector == ARCH_VECTOR_UD)
		return ABSENT;
	drop_tf(insn);
	same = matches(insn) || is_excepted(insn);
	tally->runs++;
	tally->faults += cpu.faulted;
	if (!same && options.failures++ < (options.verbose ? 1000000 : 20))
		show(form, insn, seed, target);
	memcpy(model.data, native.data, DATA_SIZE);
	return same ? SAME : DIFFERENT;
}

static enum verdict run_form(const struct form *form, uint64_t seed)
{
	struct random random = { seed * 1000003 + form->signature };
	uint64_t target = choose_target(&random);
	uint64_t second = DATA_ADDRESS + DATA_SIZE / 2 +
		8 * random_below(&random, 1024);
	struct insn insn;

	if (random_once_in(&random, 20))
		second = choose_target(&random);
	if (form->mnemonic == 0)
		return NOT_TRIED;
	if (!form_emit(form, &random, CODE_ADDRESS, target, &insn))
		return NOT_TRIED;
	if (insn.method != INSN_EXECUTE)
		return insn.method == INSN_STEP ? STEP : NO_ACCESS;
	world_fill(&random, &native.xstate, &before);
	before.regs.rflags |= native.sticky_flags;
	world_aim(&random, &insn, target, second, &before);
	fill_memory(&random, target);
	fill_memory(&random, second);
	if (insn.internal.form == FORM_XRSTOR)
		fill_state(&random, target);
	if (insn.branches)
		fill_branch_target(&random, target);
	return compare(form, &insn, seed, target);
}

/* ---- all of them ---- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_chosen(const struct form *form)
{
	return !options.mnemonic || !strcmp(form->name, options.mnemonic);
}

/* The worst verdict of all seeds; what never got anywhere counts as such. */
static enum verdict worse(enum verdict a, enum verdict b)
{
	if (a == NOT_TRIED)
		return b;
	if (b == NOT_TRIED || a == DIFFERENT)
		return a;
	if (b == DIFFERENT || a == ABSENT || a == STEP)
		return b == DIFFERENT || b == SAME ? b : a;
	return a == SAME && b != DIFFERENT ? a : b;
}

/* One state for each form; false when time ran out. */
static bool run_seed(const struct form_list *list, unsigned seed, double end,
	enum verdict *verdicts)
{
	for (size_t i = 0; i < list->count; i++) {
		/* From another end each time, should time always run out. */
		size_t at = (i + seed * UINT64_C(7919)) % list->count;
		const struct form *form = &list->forms[at];

		if (options.seconds && !(i & 63) && now() > end)
			return false;
		if (is_chosen(form))
			verdicts[at] =
				worse(verdicts[at], run_form(form, seed));
	}
	return true;
}

static void summarize(const struct form_list *list, const enum verdict *verdicts)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct form *form = &list->forms[i];
		enum verdict v = verdicts[i];

		if (!is_chosen(form))
			continue;
		tally_of(form->class)->forms[v]++;
		if (options.verbose && v != SAME && v != ABSENT)
			printf("# %s: %s (%s)\n", verdict_names[v],
				form->name, form->class);
	}
}

static void run_all(const struct form_list *list)
{
	enum verdict *verdicts = calloc(list->count, sizeof(*verdicts));
	double end = now() + options.seconds;
	unsigned done = 0;

	if (!verdicts)
		abort();
	for (size_t i = 0; i < list->count; i++)
		verdicts[i] = NOT_TRIED;
	while (done < options.seeds &&
		run_seed(list, options.first_seed + done, end, verdicts))
		done++;
	summarize(list, verdicts);
	printf("# %u states for each form, seeds from %u\n", done,
		options.first_seed);
	free(verdicts);
}

static int compare_tallies(const void *a, const void *b)
{
	return strcmp(((const struct tally *)a)->class,
		((const struct tally *)b)->class);
}

static void report(void)
{
	struct tally sum = { .class = "all" };

	qsort(tallies, tally_count, sizeof(tallies[0]), compare_tallies);
	printf("# %-18s", "class");
	for (unsigned v = 0; v < VERDICTS; v++)
		printf(" %15s", verdict_names[v]);
	printf(" %10s %8s\n", "runs", "faults");
	for (unsigned i = 0; i <= tally_count; i++) {
		struct tally *t = i < tally_count ? &tallies[i] : &sum;

		printf("# %-18s", t->class);
		for (unsigned v = 0; v < VERDICTS; v++) {
			printf(" %15u", t->forms[v]);
			sum.forms[v] += t->forms[v];
		}
		printf(" %10lu %8lu\n", t->runs, t->faults);
		sum.runs += t->runs;
		sum.faults += t->faults;
	}
}

static void parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:s:t:m:v")) != -1)
		switch (option) {
		case 'n':
			options.seeds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.first_seed = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			options.seconds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			options.mnemonic = optarg;
			break;
		case 'v':
			options.verbose = true;
			break;
		default:
			exit(2);
		}
}

int main(int argc, char **argv)
{
	struct form_list list = { 0 };

	parse(argc, argv);
	for (int i = optind; i < argc; i++)
		if (forms_read(&list, argv[i])) {
			printf("not ok - cannot read %s\n", argv[i]);
			return 1;
		}
	forms_enumerate(&list);
	printf("# %zu forms\n", list.count);
	model.exec = exec_create();
	model.data = calloc(1, DATA_SIZE);
	if (native_open(&native) || !model.exec || !model.data) {
		printf("not ok - cannot start\n");
		return 1;
	}
	run_all(&list);
	report();
	if (options.tolerated)
		printf("# %u differences of CPU models at faults and in rep\n",
			options.tolerated);
	printf("%s - executor and CPU agree\n1..1\n",
		options.failures ? "not ok" : "ok");
	native_close(&native);
	exec_destroy(model.exec);
	free(model.data);
	forms_fini(&list);
	return options.failures != 0;
}
