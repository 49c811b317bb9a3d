/* SPDX-License-Identifier: MIT */
/*
 * What to test: every instruction form of the opcode maps, and the examples
 * with a memory access collected from binaries.
 */
#ifndef CUSTOS_TESTS_DECODE_FORMS_H
#define CUSTOS_TESTS_DECODE_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <custos/decode.h>

#include "tests/decode/random.h"

enum form_encoding { ENCODED_BYTES, ENCODED_LEGACY, ENCODED_VEX, ENCODED_EVEX };

struct form {
	enum form_encoding encoding;
	/* ENCODED_BYTES: as they are, but for an address to fill in. */
	uint8_t bytes[ARCH_INSN_MAX];
	uint8_t length;
	/* The others: to be put together with any addressing shape. */
	uint8_t prefix; /* 0, 66h, f2h or f3h; VEX, EVEX: pp 0..3 */
	bool lock;
	uint8_t map, opcode;
	bool w;
	uint8_t vector_length; /* 0, 1, 2 */
	bool broadcast, masked, zeroing;
	int8_t reg; /* ModRM.reg; -1: any */
	bool direct; /* ModRM, if any, names a register */
	bool has_modrm, vsib;
	uint16_t mnemonic;
	uint64_t signature;
	const char *name; /* mnemonic */
	const char *class; /* extension */
	bool from_binary;
};

struct form_list {
	struct form *forms;
	size_t count, capacity;
};

/* Every form of the opcode maps, once each. */
void forms_enumerate(struct form_list *list);
/* Lines of hex digits; # starts a comment. Returns 0 or -errno. */
int forms_read(struct form_list *list, const char *path);
/*
 * The length of the instruction in bytes, 0 when there is none; *key names its
 * form and addressing shape, 0 when it accesses no memory.
 */
unsigned form_key(const uint8_t *bytes, size_t len, uint64_t *key);
void forms_fini(struct form_list *list);

/*
 * An instance: random registers, addressing shape, prefixes and immediates;
 * where the address is part of the instruction it is target (the instruction
 * lies at ip). False when no valid instance was found.
 */
bool form_emit(const struct form *form, struct random *random, uint64_t ip,
	uint64_t target, struct insn *out);

#endif
