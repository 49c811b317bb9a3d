/* SPDX-License-Identifier: MIT */
/*
 * Registers of a device, as a table in a file says what they are. A line each,
 * `#' begins a comment:
 *
 *	register NAME OFFSET SIZE [reset N] [MODE] [parts]
 *	field NAME BIT[..BIT] [MODE]		of the register above
 *	when load|store WHAT[=N] set WHAT=N|WHAT=WHAT|WHAT+=N
 *
 * MODE is read-write, read-only, write-only or write-1-to-clear; a field has
 * its register's unless it says so. WHAT is REGISTER or REGISTER.FIELD. SIZE is
 * 1, 2, 4 or 8; `parts' allows accesses to some of its bytes.
 */
#ifndef CUSTOS_KEEPER_BUILTIN_REGISTERS_H
#define CUSTOS_KEEPER_BUILTIN_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define BUILTIN_REGISTERS_MAX 256
#define BUILTIN_FIELDS_MAX 64 /* of a register */
#define BUILTIN_HOOKS_MAX 64
#define BUILTIN_REGISTER_NAME_MAX 32
#define BUILTIN_REGISTER_END_MAX 0x10000 /* bytes of a device */

enum builtin_register_mode {
	REGISTER_READ_WRITE,
	REGISTER_READ_ONLY,
	REGISTER_WRITE_ONLY,
	REGISTER_CLEAR, /* writing a 1 clears the bit */
	REGISTER_MODE_MAX
};

struct builtin_field {
	char name[BUILTIN_REGISTER_NAME_MAX];
	unsigned shift;
	uint64_t mask; /* in place */
	enum builtin_register_mode mode;
};

struct builtin_register {
	char name[BUILTIN_REGISTER_NAME_MAX];
	uint32_t offset, size;
	uint64_t reset;
	enum builtin_register_mode mode;
	bool parts;
	unsigned field_count;
	struct builtin_field *fields; /* at most BUILTIN_FIELDS_MAX */
	/* Bits by what they are; no bit is in two. Bits of no field, in a
	 * register that has some, are reserved. */
	uint64_t masks[REGISTER_MODE_MAX], reserved;
};

/* All of a register, or a field of it. */
struct builtin_bits {
	unsigned reg;
	unsigned shift;
	uint64_t mask;
};

struct builtin_hook {
	bool on_store;
	struct builtin_bits when;
	bool compares; /* only when it holds value */
	uint64_t value;
	struct builtin_bits to;
	enum { HOOK_SET, HOOK_ADD, HOOK_COPY } action;
	uint64_t operand;
	struct builtin_bits from; /* HOOK_COPY */
};

struct builtin_registers {
	unsigned count, hook_count;
	uint32_t end; /* behind the last byte of the last one */
	struct builtin_register regs[BUILTIN_REGISTERS_MAX];
	struct builtin_hook hooks[BUILTIN_HOOKS_MAX];
};

/*
 * Read a table; `name' is for messages ("NAME:LINE: what is wrong"). Into
 * zeroed *out, to be passed to builtin_registers_fini() in any case. -EINVAL
 * or -ENOMEM.
 */
int builtin_registers_parse(const char *name, const char *text,
	struct builtin_registers *out, struct error *err);
/* The same from a file; -errno when it cannot be read. */
int builtin_registers_read(const char *path, struct builtin_registers *out,
	struct error *err);
void builtin_registers_fini(struct builtin_registers *registers);

/* The register that holds this byte, or NULL. */
const struct builtin_register *builtin_registers_at(
	const struct builtin_registers *registers, uint64_t offset);

#endif
