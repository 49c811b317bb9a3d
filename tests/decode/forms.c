/* SPDX-License-Identifier: MIT */
#include "tests/decode/forms.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode(const uint8_t *bytes, size_t len, struct decoded *out)
{
	static ZydisDecoder decoder;
	static bool ready;

	if (!ready)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
			ZYDIS_STACK_WIDTH_64);
	ready = true;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(
		&decoder, bytes, len, &out->insn, out->operands));
}

static bool has_access(const struct decoded *d)
{
	for (unsigned i = 0; i < d->insn.operand_count; i++)
		if (d->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			d->operands[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
			d->operands[i].mem.type != ZYDIS_MEMOP_TYPE_MIB)
			return true;
	return false;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

/* What makes two encodings the same form: all but registers and address. */
static uint64_t signature_of(const struct decoded *d)
{
	const ZydisDecodedInstruction *insn = &d->insn;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	ZydisInstructionAttributes prefixes = ZYDIS_ATTRIB_HAS_LOCK |
		ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
		ZYDIS_ATTRIB_HAS_REPNE;

	hash = mix(hash, insn->mnemonic);
	hash = mix(hash, insn->encoding);
	hash = mix(hash, insn->attributes & prefixes);
	hash = mix(hash, insn->operand_width);
	hash = mix(hash, insn->avx.vector_length);
	hash = mix(hash, insn->avx.mask.mode);
	hash = mix(hash, insn->avx.broadcast.mode);
	for (unsigned i = 0; i < insn->operand_count; i++) {
		hash = mix(hash, d->operands[i].type);
		hash = mix(hash, d->operands[i].size);
		hash = mix(hash, d->operands[i].actions);
		if (d->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			hash = mix(hash,
				ZydisRegisterGetClass(
					d->operands[i].reg.value));
	}
	return hash;
}

static bool is_vsib(const struct decoded *d)
{
	for (unsigned i = 0; i < d->insn.operand_count; i++)
		if (d->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			d->operands[i].mem.type == ZYDIS_MEMOP_TYPE_VSIB)
			return true;
	return false;
}

static struct form *add_form(struct form_list *list, const struct form *form)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 1024;
		list->forms = realloc(list->forms,
			list->capacity * sizeof(list->forms[0]));
		if (!list->forms)
			abort();
	}
	list->forms[list->count] = *form;
	return &list->forms[list->count++];
}

static void describe(struct form *form, const struct decoded *d)
{
	form->mnemonic = (uint16_t)d->insn.mnemonic;
	form->signature = signature_of(d);
	form->name = ZydisMnemonicGetString(d->insn.mnemonic);
	form->class = ZydisISAExtGetString(d->insn.meta.isa_ext);
	form->has_modrm = d->insn.attributes & ZYDIS_ATTRIB_HAS_MODRM;
	form->vsib = is_vsib(d);
}

/* ---- putting bytes together ---- */

struct shape {
	unsigned base, index; /* 0..15; index 0..31 with VSIB */
	unsigned scale; /* log2 */
	bool has_base, has_index, rip;
	unsigned displacement; /* bytes: 0, 1, 4 */
	uint64_t value;
};

static struct shape random_shape(struct random *r, bool vsib)
{
	struct shape s = {
		.base = random_below(r, 16),
		.index = random_below(r, vsib ? 32 : 16),
		.scale = random_below(r, 4),
		.value = random_next(r),
	};
	static const unsigned sizes[] = { 0, 1, 4 };
	unsigned kind = random_below(r, 12);

	s.has_base = kind != 0 && kind != 1 && kind != 2;
	s.has_index = vsib || kind == 0 || kind > 6;
	s.rip = kind == 1 && !vsib;
	if (s.index == 4 && !vsib)
		s.index = 12;
	s.displacement = s.has_base ? sizes[random_below(r, 3)] : 4;
	if (s.has_base && (s.base & 7) == 5 && !s.displacement)
		s.displacement = 1;
	return s;
}

struct assembly {
	uint8_t bytes[32];
	unsigned length;
	unsigned displacement_at; /* of one to be filled in; 0: none */
};

static void put(struct assembly *a, unsigned byte)
{
	a->bytes[a->length++] = (uint8_t)byte;
}

static void put_operand(struct assembly *a, const struct shape *s, unsigned reg)
{
	bool sib = s->has_index || !s->has_base || (s->base & 7) == 4;
	unsigned mod = s->has_base && s->displacement ?
		(s->displacement == 1 ? 1 : 2) :
		0;

	if (s->rip)
		sib = false;
	put(a, mod << 6 | (reg & 7) << 3 |
			(s->rip	     ? 5 :
					sib ? 4 :
					      s->base & 7));
	if (sib)
		put(a, s->scale << 6 |
				(s->has_index ? s->index & 7 : 4) << 3 |
				(s->has_base ? s->base & 7 : 5));
	if (s->rip || (!s->has_base && !s->has_index))
		a->displacement_at = a->length;
	for (unsigned i = 0; i < s->displacement; i++)
		put(a, (unsigned)(s->value >> (8 * i)) & 0xff);
}

static void put_prefixes(struct assembly *a, const struct form *f,
	struct random *r)
{
	static const uint8_t segments[] = { 0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36 };

	if (random_once_in(r, 6))
		put(a, segments[random_below(r, 6)]);
	if (random_once_in(r, 12))
		put(a, 0x67);
	if (random_once_in(r, 32))
		put(a, 0x40 | random_below(r, 16)); /* dead */
	if (f->encoding == ENCODED_LEGACY) {
		if (f->lock)
			put(a, 0xf0);
		if (f->prefix)
			put(a, f->prefix);
	}
	/* a REX is dead only if a prefix follows */
	if ((a->length && (a->bytes[a->length - 1] & 0xf0) == 0x40))
		put(a, 0x2e);
}

static bool index_bit(const struct shape *s)
{
	return s->has_index && (s->index & 8);
}

static bool base_bit(const struct shape *s)
{
	return s->has_base && (s->base & 8);
}

static void put_legacy(struct assembly *a, const struct form *f,
	const struct shape *s, unsigned reg, bool want_rex)
{
	unsigned rex = f->w << 3 | (reg >> 3 & 1) << 2 | index_bit(s) << 1 |
		base_bit(s);

	if (rex || want_rex)
		put(a, 0x40 | rex);
	if (f->map)
		put(a, 0x0f);
	if (f->map == 2)
		put(a, 0x38);
	if (f->map == 3)
		put(a, 0x3a);
	put(a, f->opcode);
}

static void put_vex(struct assembly *a, const struct form *f,
	const struct shape *s, unsigned reg, unsigned vvvv)
{
	bool r = reg & 8, x = index_bit(s), b = base_bit(s);

	if (!x && !b && !f->w && f->map == 1) {
		put(a, 0xc5);
		put(a, (unsigned)(!r) << 7 | (~vvvv & 15) << 3 |
				(unsigned)f->vector_length << 2 | f->prefix);
	} else {
		put(a, 0xc4);
		put(a, (unsigned)(!r) << 7 | (unsigned)(!x) << 6 |
				(unsigned)(!b) << 5 | f->map);
		put(a, (unsigned)f->w << 7 | (~vvvv & 15) << 3 |
				(unsigned)f->vector_length << 2 | f->prefix);
	}
	put(a, f->opcode);
}

static void put_evex(struct assembly *a, const struct form *f,
	const struct shape *s, unsigned reg, unsigned vvvv, unsigned mask)
{
	bool v2 = f->vsib ? s->index & 16 : vvvv & 16;

	put(a, 0x62);
	put(a, (unsigned)!(reg & 8) << 7 | (unsigned)!index_bit(s) << 6 |
			(unsigned)!base_bit(s) << 5 |
			(unsigned)!(reg & 16) << 4 | f->map);
	put(a, (unsigned)f->w << 7 | (~vvvv & 15) << 3 | 4 | f->prefix);
	put(a, (unsigned)f->zeroing << 7 | (unsigned)f->vector_length << 5 |
			(unsigned)f->broadcast << 4 | (unsigned)!v2 << 3 |
			mask);
	put(a, f->opcode);
}

static void assemble(const struct form *f, const struct shape *s, unsigned reg,
	unsigned vvvv, struct random *r, struct assembly *a)
{
	put_prefixes(a, f, r);
	switch (f->encoding) {
	case ENCODED_LEGACY:
		put_legacy(a, f, s, reg, random_once_in(r, 4));
		break;
	case ENCODED_VEX:
		put_vex(a, f, s, reg, vvvv);
		break;
	case ENCODED_EVEX:
		put_evex(a, f, s, reg, vvvv,
			f->masked ? 1 + random_below(r, 7) : 0);
		break;
	case ENCODED_BYTES:
		break;
	}
	if (f->has_modrm && f->direct)
		put(a, 0xc0 | (reg & 7) << 3 | (s->base & 7));
	else if (f->has_modrm)
		put_operand(a, s, reg);
	for (unsigned i = 0; i < 8; i++)
		put(a, random_below(r, 256));
}

/* ---- the address inside the instruction ---- */

static void fill_in(uint8_t *at, uint64_t value, unsigned size)
{
	memcpy(at, &value, size);
}

/* Absolute and rip-relative addresses become target. */
static bool aim(struct assembly *a, uint64_t ip, uint64_t target)
{
	struct decoded d;
	unsigned at;

	if (!decode(a->bytes, ARCH_INSN_MAX, &d))
		return false;
	a->length = d.insn.length;
	at = d.insn.raw.disp.offset;
	for (unsigned i = 0; i < d.insn.operand_count; i++) {
		const ZydisDecodedOperand *o = &d.operands[i];

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY ||
			o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			continue;
		if (o->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64)
			fill_in(a->bytes + at, target,
				d.insn.raw.disp.size / 8u);
		else if (o->mem.base == ZYDIS_REGISTER_RIP ||
			o->mem.base == ZYDIS_REGISTER_EIP)
			fill_in(a->bytes + at, target - (ip + a->length), 4);
		else if (o->mem.base == ZYDIS_REGISTER_NONE &&
			o->mem.index == ZYDIS_REGISTER_NONE)
			fill_in(a->bytes + at, target, 4);
	}
	return true;
}

static unsigned random_reg(const struct form *f, struct random *r)
{
	if (f->reg >= 0)
		return (unsigned)f->reg;
	return random_below(r, f->encoding == ENCODED_EVEX ? 32 : 16);
}

static bool emit_once(const struct form *f, struct random *r, uint64_t ip,
	uint64_t target, struct insn *out)
{
	struct assembly a = { .length = 0 };
	struct shape shape = random_shape(r, f->vsib);
	unsigned vvvv = random_once_in(r, 2) ? 0 : random_below(r, 32);
	struct decoded d;

	if (f->encoding == ENCODED_VEX)
		vvvv &= 15;
	if (f->encoding == ENCODED_BYTES) {
		memcpy(a.bytes, f->bytes, f->length);
	} else {
		assemble(f, &shape, random_reg(f, r), vvvv, r, &a);
	}
	return aim(&a, ip, target) && decode(a.bytes, ARCH_INSN_MAX, &d) &&
		d.insn.mnemonic == f->mnemonic &&
		!decode_insn(a.bytes, d.insn.length, out) &&
		out->length == d.insn.length;
}

bool form_emit(const struct form *form, struct random *random, uint64_t ip,
	uint64_t target, struct insn *out)
{
	for (unsigned i = 0; i < 64; i++)
		if (emit_once(form, random, ip, target, out))
			return true;
	return false;
}

/* ---- enumerating ---- */

#define SET_SIZE 65536u

struct set {
	uint64_t slots[SET_SIZE];
};

static bool set_add(struct set *set, uint64_t value)
{
	unsigned i = (unsigned)(value % SET_SIZE);

	while (set->slots[i]) {
		if (set->slots[i] == value)
			return false;
		i = (i + 1) % SET_SIZE;
	}
	set->slots[i] = value;
	return true;
}

static bool try_form(const struct form *f, unsigned reg, unsigned vvvv,
	struct decoded *d)
{
	struct assembly a = { .length = 0 };
	struct shape shape = { .base = 3, .has_base = true, .index = 1,
		.has_index = f->vsib };

	switch (f->encoding) {
	case ENCODED_LEGACY:
		if (f->lock)
			put(&a, 0xf0);
		if (f->prefix)
			put(&a, f->prefix);
		put_legacy(&a, f, &shape, reg, false);
		break;
	case ENCODED_VEX:
		put_vex(&a, f, &shape, reg, vvvv);
		break;
	default:
		put_evex(&a, f, &shape, reg, vvvv, f->masked);
	}
	if (f->direct)
		put(&a, 0xc0 | (reg & 7) << 3 | 3);
	else
		put_operand(&a, &shape, reg);
	a.length += 8;
	return decode(a.bytes, ARCH_INSN_MAX, d) &&
		(has_access(d) || f->direct ||
			d->insn.mnemonic == ZYDIS_MNEMONIC_LEA);
}

/* Some take no second register operand (vvvv must be 1111, that is 0 here),
 * gathers need three different registers. */
static bool try_vvvv(const struct form *f, unsigned reg, struct decoded *d)
{
	return try_form(f, reg, 0, d) || try_form(f, reg, 2, d) ||
		(reg < 2 && try_form(f, reg, 5, d));
}

static void consider(struct form_list *list, struct set *set, struct form *f)
{
	struct decoded d[8];
	bool valid[8], same = true;

	for (unsigned reg = 0; reg < 8; reg++) {
		valid[reg] = try_vvvv(f, reg, &d[reg]);
		same = same && valid[reg] && valid[0] &&
			signature_of(&d[reg]) == signature_of(&d[0]);
	}
	for (unsigned reg = 0; reg < 8; reg++) {
		if (!valid[reg])
			continue;
		f->reg = same ? -1 : (int8_t)reg;
		describe(f, &d[reg]);
		if (set_add(set, f->signature))
			add_form(list, f);
		if (same)
			break;
	}
}

static bool is_prefix_or_escape(unsigned opcode)
{
	switch (opcode) {
	case 0x0f:
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x62:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xc4:
	case 0xc5:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return opcode >= 0x40 && opcode <= 0x4f;
	}
}

static void enumerate_legacy(struct form_list *list, struct set *set)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

	for (unsigned i = 0; i < 4u * 256 * 4 * 4; i++) {
		struct form f = {
			.encoding = ENCODED_LEGACY,
			.map = (uint8_t)(i >> 12),
			.opcode = (uint8_t)(i >> 4),
			.prefix = prefixes[i >> 2 & 3],
			.w = i & 1,
			.lock = i & 2,
		};

		if (!f.map && is_prefix_or_escape(f.opcode))
			continue;
		consider(list, set, &f);
		f.direct = true;
		consider(list, set, &f);
	}
}

static void enumerate_vex(struct form_list *list, struct set *set)
{
	for (unsigned i = 0; i < 4u * 256 * 16; i++) {
		struct form f = {
			.encoding = ENCODED_VEX,
			.map = (uint8_t)(i >> 12),
			.opcode = (uint8_t)(i >> 4),
			.prefix = i >> 2 & 3,
			.w = i & 1,
			.vector_length = i >> 1 & 1,
		};

		if (!f.map)
			continue;
		consider(list, set, &f);
		f.vsib = true;
		consider(list, set, &f);
		f.vsib = false;
		f.direct = true;
		consider(list, set, &f);
	}
}

static void enumerate_evex(struct form_list *list, struct set *set)
{
	for (unsigned i = 0; i < 8u * 256 * 4 * 2 * 4 * 2 * 4; i++) {
		struct form f = {
			.encoding = ENCODED_EVEX,
			.masked = (i & 3) > 0,
			.zeroing = (i & 3) == 2,
			.broadcast = i >> 2 & 1,
			.vector_length = i >> 3 & 3,
			.w = i >> 5 & 1,
			.prefix = i >> 6 & 3,
			.opcode = (uint8_t)(i >> 8),
			.map = (uint8_t)(i >> 16),
		};

		if (!f.map || (i & 3) == 3 || f.vector_length == 3)
			continue;
		consider(list, set, &f);
		f.vsib = true;
		if (f.masked)
			consider(list, set, &f);
		f.vsib = false;
		f.direct = true;
		consider(list, set, &f);
	}
}

void forms_enumerate(struct form_list *list)
{
	struct set *set = calloc(1, sizeof(*set));

	if (!set)
		abort();
	enumerate_legacy(list, set);
	enumerate_vex(list, set);
	enumerate_evex(list, set);
	free(set);
}

/* ---- reading ---- */

static bool parse_line(const char *line, struct form *f)
{
	unsigned byte;
	int used;

	while (f->length < ARCH_INSN_MAX &&
		sscanf(line, " %2x%n", &byte, &used) == 1) {
		f->bytes[f->length++] = (uint8_t)byte;
		line += used;
	}
	return f->length;
}

int forms_read(struct form_list *list, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		struct form f = { .encoding = ENCODED_BYTES, .reg = -1,
			.from_binary = true };
		struct decoded d;

		line[strcspn(line, "#\n")] = '\0';
		if (!parse_line(line, &f) || !decode(f.bytes, f.length, &d))
			continue;
		describe(&f, &d);
		add_form(list, &f);
	}
	fclose(file);
	return 0;
}

static uint64_t shape_of(const struct decoded *d)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < d->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &d->operands[i];

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		hash = 1 | (o->mem.index != ZYDIS_REGISTER_NONE) << 1 |
			(o->mem.base == ZYDIS_REGISTER_RSP) << 2 |
			(o->mem.base == ZYDIS_REGISTER_RIP) << 3 |
			(o->mem.base == ZYDIS_REGISTER_NONE) << 4 |
			(d->insn.raw.disp.size > 8) << 5 |
			(o->mem.segment == ZYDIS_REGISTER_FS) << 6;
	}
	return hash;
}

unsigned form_key(const uint8_t *bytes, size_t len, uint64_t *key)
{
	struct decoded d;

	*key = 0;
	if (!decode(bytes, len, &d))
		return 0;
	if (has_access(&d))
		*key = mix(signature_of(&d), shape_of(&d)) | 1;
	return d.insn.length;
}

void forms_fini(struct form_list *list)
{
	free(list->forms);
	*list = (struct form_list){ 0 };
}
