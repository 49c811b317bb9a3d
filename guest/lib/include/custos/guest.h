/* SPDX-License-Identifier: MIT */
/*
 * What a guest program may use. Programs define main; its result is the exit
 * code. The functions below are small helpers over the kernel's calls; every
 * call itself is there too as custos_<type>_<call>(slot, arguments...), see
 * abi/captype.def. Results below zero are -CUSTOS_E_*.
 */
#ifndef CUSTOS_GUEST_H
#define CUSTOS_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/custos_calls.h"

#define PAGE_SIZE CUSTOS_ABI_PAGE

/* An array that shares no page with anything else, to be kept or mapped over.
 * Its size must be a multiple of PAGE_SIZE. */
#define PAGE_ALIGNED __attribute__((aligned(4096)))

/* ---- calls ---- */

int64_t guest_call(uint64_t op, uint64_t slot, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e);

#define GUEST_STUB_0(OP, name)                                                 \
	static inline int64_t custos_##name(uint32_t slot)                     \
	{                                                                      \
		return guest_call(OP, slot, 0, 0, 0, 0, 0);                    \
	}
#define GUEST_STUB_1(OP, name)                                                 \
	static inline int64_t custos_##name(uint32_t slot, uint64_t a)         \
	{                                                                      \
		return guest_call(OP, slot, a, 0, 0, 0, 0);                    \
	}
#define GUEST_STUB_2(OP, name)                                                 \
	static inline int64_t custos_##name(                                   \
		uint32_t slot, uint64_t a, uint64_t b)                         \
	{                                                                      \
		return guest_call(OP, slot, a, b, 0, 0, 0);                    \
	}
#define GUEST_STUB_3(OP, name)                                                 \
	static inline int64_t custos_##name(                                   \
		uint32_t slot, uint64_t a, uint64_t b, uint64_t c)             \
	{                                                                      \
		return guest_call(OP, slot, a, b, c, 0, 0);                    \
	}
#define GUEST_STUB_4(OP, name)                                                 \
	static inline int64_t custos_##name(uint32_t slot, uint64_t a,         \
		uint64_t b, uint64_t c, uint64_t d)                            \
	{                                                                      \
		return guest_call(OP, slot, a, b, c, d, 0);                    \
	}
#define GUEST_STUB_5(OP, name)                                                 \
	static inline int64_t custos_##name(uint32_t slot, uint64_t a,         \
		uint64_t b, uint64_t c, uint64_t d, uint64_t e)                \
	{                                                                      \
		return guest_call(OP, slot, a, b, c, d, e);                    \
	}
#define CAPTYPE(NAME, name, number, kind, help)
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)            \
	GUEST_STUB_##argc(CUSTOS_OP_##TYPE##_##NAME, type##_##name)
#include "abi/captype.def"

/* ---- capabilities ---- */

/* Slot of a capability the program was started with, 0: there is none. */
uint32_t cap_find(const char *name);

/* A slot that is empty and stays reserved until cap_slot_free; ends the
 * program when there is none. */
uint32_t cap_slot_alloc(void);
void cap_slot_free(uint32_t slot); /* drops what is in it */

enum custos_captype cap_type(uint32_t slot); /* NULL: empty, or gone */

/* What slot holds with at most these rights, in a slot of its own. */
int64_t cap_copy(uint32_t slot, uint32_t rights);

const char *error_name(int64_t result); /* "NO_ACCESS", ... */
const char *fault_name(uint64_t code);	/* "INVALID_ADDRESS", ... */

/* ---- storage ---- */

/* A new object of a type that banks make; its slot. Objects live until they
 * are freed or their bank is destroyed. */
int64_t object_create(uint32_t bank, enum custos_captype type);

/* A bank below the program's own; limit in frames, 0: none. Its slot. */
int64_t bank_create(uint64_t limit);

/* End a bank and all it paid for, and free its slot. */
void bank_end(uint32_t bank);

/* ---- processes and time ---- */

_Noreturn void exit(int code);
void yield(void);
void sleep_ms(uint64_t ms);
uint64_t time_ns(void); /* since boot */

/*
 * Start a program (a module's name; "program" is the caller's own) with
 * arguments (NULL-terminated, argv[0] first; NULL: only the name) on one CPU
 * or on CUSTOS_ANY_CPU. It gets this program's console, timer, schedule,
 * discrim and modules, `count` capabilities more, and as its bank a new one
 * below this program's, which pays for it. Returns the slot of the process, or
 * -CUSTOS_E_*.
 */
int64_t spawn(const char *module, const char *const *argv, uint32_t cpu,
	const struct custos_spawn_cap *caps, uint32_t count);

struct spawn_how {
	uint32_t cpu;
	uint32_t flags;	 /* CUSTOS_SPAWN_* */
	uint32_t bank;	 /* its bank; 0: a new one, with.. */
	uint64_t limit;	 /* ..this limit in frames; 0: none */
};

int64_t spawn_as(const char *module, const char *const *argv,
	const struct spawn_how *how, const struct custos_spawn_cap *caps,
	uint32_t count);

/* The bank spawn made for it; 0: none. */
uint32_t spawned_bank(uint32_t process);

/* How many CPUs the machine has. */
uint32_t cpu_count(void);

/* Wait for a spawned process, return its exit code; its slot is free then, and
 * the bank spawn made for it is destroyed with all that is in it. */
int64_t wait_exit(uint32_t process);

/* ---- memory and messages ---- */

/* New memory of this many bytes (whole pages), all zero; its slot. */
int64_t memory_create(uint64_t length);

/* Bytes of a page, node, window or fixed pages; -INVALID_CAP: no memory. */
int64_t memory_length(uint32_t memory);

/* Map all of it at address with at most these CUSTOS_RIGHT_* rights; without
 * CUSTOS_RIGHT_CALL no keeper in it is ever asked. */
int64_t memory_map(
	uint32_t memory, const volatile void *address, uint32_t rights);

/* A part of it, page aligned. */
int64_t memory_map_part(uint32_t memory, const volatile void *address,
	uint64_t offset, uint64_t length, uint32_t rights);
int64_t memory_unmap(const volatile void *address, uint64_t length);

int64_t endpoint_create(void); /* its slot */
int64_t entry_create(uint32_t endpoint, uint64_t payload); /* its slot */
int64_t message_send(uint32_t endpoint, struct custos_message *message);
int64_t message_call(uint32_t endpoint, struct custos_message *message,
	struct custos_message *reply);
int64_t message_receive(uint32_t endpoint, struct custos_message *message);

/* ---- strings and printing ---- */

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *string);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
uint64_t parse_number(const char *string); /* decimal or 0x..., else 0 */

/*
 * %d %i %u %x %X %c %s %p %% with - 0 width .precision l ll z h hh. Output is
 * kept until a newline, a full buffer, flush or the program's end.
 */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));
int snprintf(char *to, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
int puts(const char *string);

/* As printf, a word among the accesses that custos prints and records (custos
 * run -r): which phase this is, which round. Cut to CUSTOS_MARK_MAX bytes. */
void mark(const char *format, ...) __attribute__((format(printf, 1, 2)));
void flush(void);

_Noreturn void assert_fail(const char *what, const char *file, int line);

#define assert(condition)                                                      \
	((condition) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__))

#endif
