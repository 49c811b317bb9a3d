/* SPDX-License-Identifier: MIT */
/*
 * The decoder's facts against the CPU: for every form with one operand, the
 * operand is laid against both ends of mapped memory (its extent), into
 * read-only memory (does it write?), and over different bytes (does it read?).
 *
 * Usage: probe [-n SEEDS] [-d] [FILE]; -d lists where Capstone says something
 * else than custos, with what the CPU says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <capstone/capstone.h>

#include "decode/exec_impl.h"
#include "tests/decode/forms.h"
#include "tests/decode/native.h"
#include "tests/decode/world.h"

struct findings {
	bool too_long; /* a fault although all of it is mapped */
	bool too_short; /* no fault although a byte more is not */
	bool writes; /* read-only memory faults */
	bool reads; /* what was there made a difference */
	bool absent;
};

static struct native native;
static struct state before;
static struct outcome after, other;
static unsigned seeds = 2, failures, probed, absent, skipped, unseen;
static bool list_disagreements;

static bool is_absent(const struct outcome *o)
{
	return o->faulted && o->fault.vector == ARCH_VECTOR_UD;
}

static bool is_page_fault(const struct outcome *o)
{
	return o->faulted && o->fault.vector == ARCH_VECTOR_PF;
}

/* Masks select everything, divisions and the like mostly work. */
static void make_state(struct random *r, const struct insn *insn,
	uint64_t target)
{
	uint8_t ones[64];

	memset(ones, 0xff, sizeof(ones));
	world_fill(r, &native.xstate, &before);
	for (unsigned i = 0; i < 8; i++)
		xstate_set_mask(&before.xstate, i, ~UINT64_C(0));
	if (insn->internal.mask_source == MASK_VECTOR)
		xstate_set_vector(
			&before.xstate, insn->internal.mask_reg, ones, 64);
	before.xstate.area[0] = 0x7f; /* x87: all exceptions masked */
	before.xstate.area[2] = 0;
	before.xstate.area[3] &= 0x7f;
	before.xstate.area[24] = 0x80;
	before.xstate.area[25] |= 0x1f;
	before.regs.rflags |= native.sticky_flags;
	world_aim(r, insn, target, target, &before);
}

static uint64_t operand_address(const struct insn *insn)
{
	const struct insn_operand *o = &insn->operands[0];
	const struct arch_regs *regs = &before.regs;
	uint64_t address = (uint64_t)o->displacement;

	if (o->base == INSN_REG_RIP)
		address += regs->rip + insn->length;
	else if (o->base != INSN_REG_NONE)
		address += regs->gpr[o->base];
	if (o->index != INSN_REG_NONE)
		address += regs->gpr[o->index] * o->scale;
	if (insn->address32)
		address = (uint32_t)address;
	return address +
		(o->segment == INSN_SEGMENT_FS	       ? regs->fs_base :
				o->segment == INSN_SEGMENT_GS ? regs->gs_base :
								0);
}

/* Run with the operand at target, if this shape can get there exactly; the
 * same random state for the same seed. */
static bool run_at(const struct form *form, uint64_t seed, uint64_t target,
	uint8_t fill, struct insn *insn, struct outcome *out)
{
	struct random r = { seed * 999983 + form->signature };

	if (!form_emit(form, &r, CODE_ADDRESS, target, insn))
		return false;
	make_state(&r, insn, target);
	if (operand_address(insn) != target)
		return false;
	memset(native.data, fill, DATA_SIZE);
	return native_step(&native, insn, &before, out);
}

static bool is_probed(const struct insn *insn)
{
	return insn->method == INSN_EXECUTE && insn->operand_count == 1 &&
		insn->operands[0].size && !insn->operands[0].vsib &&
		(insn->internal.form == FORM_PLAIN ||
			insn->internal.form == FORM_XCHG ||
			insn->internal.form == FORM_MOFFS_LOAD ||
			insn->internal.form == FORM_MOFFS_STORE);
}

static bool results_differ(void)
{
	return memcmp(after.state.regs.gpr, other.state.regs.gpr,
		       sizeof(after.state.regs.gpr)) ||
		after.state.regs.rflags != other.state.regs.rflags ||
		after.faulted != other.faulted ||
		world_xstate_differs(
			&after.state.xstate, &other.state.xstate, false);
}

static void probe_reads(const struct form *form, uint64_t seed, uint32_t size,
	struct findings *f)
{
	uint64_t target = DATA_ADDRESS + DATA_SIZE / 2;
	uint8_t first[1024];
	struct insn insn;

	if (!run_at(form, seed, target, 0x3f, &insn, &after))
		return;
	memcpy(first, native.data + DATA_SIZE / 2, size);
	if (!run_at(form, seed, target, 0xc1, &insn, &other))
		return;
	f->reads |= results_differ();
	/* Bytes that are neither left alone nor the same both times. */
	for (uint32_t i = 0; i < size; i++) {
		uint8_t b = native.data[DATA_SIZE / 2 + i];

		f->reads |= first[i] != b && (first[i] != 0x3f || b != 0xc1);
	}
}

/*
 * False when the seed's addressing shape cannot name all the places.
 */
static bool probe_seed(const struct form *form, uint64_t seed,
	const struct insn_operand *o, struct findings *f)
{
	uint64_t end = DATA_ADDRESS + DATA_SIZE - o->size;
	struct outcome last, past, first, early, readonly;
	struct insn insn;

	if (!run_at(form, seed, end, 0x3f, &insn, &last) ||
		!run_at(form, seed, end + o->alignment, 0x3f, &insn, &past) ||
		!run_at(form, seed, DATA_ADDRESS, 0x3f, &insn, &first) ||
		!run_at(form, seed, DATA_ADDRESS - o->alignment, 0x3f, &insn,
			&early) ||
		!run_at(form, seed, READONLY_ADDRESS + 4096, 0x3f, &insn,
			&readonly))
		return false;
	f->absent |= is_absent(&last);
	f->too_long |= is_page_fault(&last) || is_page_fault(&first);
	f->too_short |= !is_page_fault(&past) || !is_page_fault(&early);
	f->writes |= is_page_fault(&readonly);
	probe_reads(form, seed, o->size, f);
	return true;
}

static const char *kind_of(const struct findings *f)
{
	return f->writes ? f->reads ? "rmw" : "store" : "load";
}

/* rmw and store cannot always be told apart from outside: an instruction may
 * read without it making a difference (cmpxchg with an equal value, or -1). */
static bool is_right(const struct insn_operand *o, const struct findings *f)
{
	if (f->too_long || f->too_short ||
		access_writes(o->kind) != f->writes)
		return false;
	return o->kind != ACCESS_STORE || !f->reads;
}

static const cs_x86_op *capstone_memory(const cs_insn *insn)
{
	for (unsigned i = 0; i < insn->detail->x86.op_count; i++)
		if (insn->detail->x86.operands[i].type == X86_OP_MEM)
			return &insn->detail->x86.operands[i];
	return NULL;
}

static void compare_capstone(const struct insn *insn,
	const struct insn_operand *o, const struct findings *f)
{
	static csh handle;
	const cs_x86_op *m;
	cs_insn *decoded;
	char text[128];

	if (!handle && cs_open(CS_ARCH_X86, CS_MODE_64, &handle) == CS_ERR_OK)
		cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
	decode_text(insn, 0, text, sizeof(text));
	if (!handle || !cs_disasm(handle, insn->bytes, insn->length, 0, 1,
			       &decoded)) {
		printf("# %s: custos %s %u, Capstone nothing, the CPU %s\n",
			text, access_kind_name(o->kind), o->size, kind_of(f));
		return;
	}
	m = capstone_memory(decoded);
	if (decoded->size != insn->length || !m || m->size != o->size ||
		!(m->access & CS_AC_WRITE) == access_writes(o->kind))
		printf("# %s: custos %s %u, Capstone %s %u length %u, the CPU "
		       "%s%s\n",
			text, access_kind_name(o->kind), o->size,
			!m		       ? "none" :
			m->access == CS_AC_WRITE ? "store" :
			m->access & CS_AC_WRITE  ? "rmw" :
			m->access		       ? "load" :
							 "none",
			m ? m->size : 0, decoded->size, kind_of(f),
			is_right(o, f) ? ", custos is right" : "");
	cs_free(decoded, 1);
}

static void probe(const struct form *form)
{
	struct random r = { form->signature };
	struct findings f = { 0 };
	struct insn insn;
	const struct insn_operand *o = &insn.operands[0];
	unsigned done = 0;

	if (!form_emit(form, &r, CODE_ADDRESS, DATA_ADDRESS, &insn) ||
		!is_probed(&insn)) {
		skipped++;
		return;
	}
	for (unsigned seed = 0; seed < 32 && done < seeds; seed++)
		done += probe_seed(form, seed, o, &f);
	if (!done) {
		skipped++;
		return;
	}
	if (f.absent) {
		absent++;
		return;
	}
	probed++;
	unseen += o->kind == ACCESS_RMW && !f.reads;
	if (list_disagreements)
		compare_capstone(&insn, o, &f);
	if (is_right(o, &f))
		return;
	if (failures++ < 40)
		printf("  %s: custos says %s of %u bytes; the CPU: %s%s%s\n",
			form->name, access_kind_name(o->kind), o->size,
			kind_of(&f), f.too_long ? ", more bytes" : "",
			f.too_short ? ", fewer bytes" : "");
}

int main(int argc, char **argv)
{
	struct form_list list = { 0 };
	int option;

	while ((option = getopt(argc, argv, "n:d")) != -1)
		if (option == 'd')
			list_disagreements = true;
		else if (option == 'n')
			seeds = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	if (optind < argc && forms_read(&list, argv[optind]))
		return 1;
	forms_enumerate(&list);
	if (native_open(&native)) {
		printf("not ok - cannot start\n");
		return 1;
	}
	for (size_t i = 0; i < list.count; i++)
		probe(&list.forms[i]);
	printf("# %u forms probed, %u not on this CPU, %u not tried: no "
	       "single operand, or not to be aimed; %u rmw whose read made no difference\n"
	       "%s - size and kind are the CPU's\n1..1\n",
		probed, absent, skipped, unseen, failures ? "not ok" : "ok");
	native_close(&native);
	forms_fini(&list);
	return failures != 0;
}
