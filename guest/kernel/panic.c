/* SPDX-License-Identifier: MIT */
/*
 * The message goes to the monitor in one page. The ring costs one 16-byte
 * record per event, and only rare events are recorded.
 */
#include "panic.h"

#include "cpu.h"
#include "machine.h"
#include "process.h"

#define RING_SIZE 64

static struct {
	uint64_t count; /* ever recorded */
	struct {
		uint16_t event, cpu;
		uint32_t a;
		uint64_t b;
	} records[RING_SIZE];
} ring;

static const char *const event_names[EVENT_MAX] = {
	[EVENT_START] = "start",
	[EVENT_END] = "end",
	[EVENT_FAULT] = "fault",
	[EVENT_KILL] = "kill",
	[EVENT_BANK] = "bank ends",
	[EVENT_REFUSED] = "refused",
	[EVENT_ASK] = "ask",
};

static char text[4096] __attribute__((aligned(4096)));
static unsigned text_size;

void panic_record(enum event event, uint64_t a, uint64_t b)
{
	unsigned at = ring.count++ % RING_SIZE;

	ring.records[at].event = (uint16_t)event;
	ring.records[at].cpu = (uint16_t)cpu_this()->index;
	ring.records[at].a = (uint32_t)a;
	ring.records[at].b = b;
}

static void put(const char *string)
{
	while (*string && text_size < sizeof(text))
		text[text_size++] = *string++;
}

static void put_number(const char *name, uint64_t value, unsigned base)
{
	char digits[20];
	unsigned count = 0;

	put(name);
	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (count && text_size < sizeof(text))
		text[text_size++] = digits[--count];
}

static bool names_process(unsigned event)
{
	return event != EVENT_BANK && event != EVENT_REFUSED;
}

static void put_ring(void)
{
	uint64_t i = ring.count > RING_SIZE ? ring.count - RING_SIZE : 0;

	for (; i < ring.count; i++) {
		unsigned at = i % RING_SIZE;

		put("\n  ");
		put(event_names[ring.records[at].event]);
		put_number(" cpu ", ring.records[at].cpu, 10);
		put_number(names_process(ring.records[at].event) ? " process "
								 : " bank ",
			ring.records[at].a, 10);
		put_number(" ", ring.records[at].b, 10);
	}
}

static _Noreturn void panic_tell(void)
{
	if (ring.count)
		put("\nrecent events:");
	put_ring();
	for (;;)
		machine_hypercall(CUSTOS_CALL_PANIC, machine_gpa(text),
			text_size, 0, 0, 0);
}

void panic_end(const char *line, uint64_t code)
{
	put(line);
	machine_hypercall(
		CUSTOS_CALL_CONSOLE, machine_gpa(text), text_size, 0, 0, 0);
	for (;;)
		machine_hypercall(CUSTOS_CALL_EXIT, code, 0, 0, 0, 0);
}

void panic_invariant(const char *what, const char *file, int line)
{
	put("invariant broken: ");
	put(what);
	put(" at ");
	put(file);
	put_number(":", (uint64_t)line, 10);
	panic_tell();
}

void panic_frame(const struct frame *frame)
{
	put_number("exception ", frame->vector, 10);
	put_number(" in the kernel: rip 0x", frame->rip, 16);
	put_number(" error 0x", frame->error_code, 16);
	put_number(" rsp 0x", frame->rsp, 16);
	put_number(" cr2 0x", machine_cr2(), 16);
	put_number(" rax 0x", frame->gpr[GPR_RAX], 16);
	put_number(" rdi 0x", frame->gpr[GPR_RDI], 16);
	panic_tell();
}
