/* SPDX-License-Identifier: MIT */
/* Copies go piece by piece; a piece crosses no page on either side. */
#include "copy.h"

#include "abi/custos_calls.h"
#include "cpu.h"
#include "machine.h"
#include "process.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t left_in_page(uint64_t address)
{
	return PAGE_SIZE - (address & PAGE_MASK);
}

/* Kept by the monitor, or not RAM at all: ours not to touch. */
bool copy_is_monitors(uint64_t gpa)
{
	uint64_t frame = (gpa - boot_info->ram_base) / PAGE_SIZE;
	const uint8_t *map = machine_direct(boot_info->kept_map);

	if (gpa - boot_info->ram_base >= boot_info->ram_size)
		return true;
	return __atomic_load_n(&map[frame / 8], __ATOMIC_RELAXED) >>
		       (frame % 8) &
	       1;
}

static int ask_monitor(struct process *process, uint64_t va, const void *kernel,
	uint64_t size, unsigned kind)
{
	struct custos_cpu_state *state = &boot_info->cpus[cpu_this()->index];
	int64_t result;

	/* Saved registers of a system call are those behind its SYSCALL. */
	state->copy_ip = process->frame.rip - 2;
	state->copy_frame = machine_gpa(&process->frame);
	result = machine_hypercall(CUSTOS_CALL_COPY, process->space.cr3, va,
		machine_gpa(kernel), size, kind);

	if (result == -CUSTOS_ERR_DENIED)
		return -CUSTOS_E_DENIED;
	return result ? -CUSTOS_E_FAULT : 0;
}

static int copy_piece(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, bool store, unsigned kind)
{
	uint64_t gpa;

	if (!space_resolve(&process->space, va, store, &gpa))
		return -CUSTOS_E_FAULT;
	if (copy_is_monitors(gpa))
		return ask_monitor(process, va, bytes, size, kind);
	if (store)
		machine_copy(machine_direct(gpa), bytes, size);
	else
		machine_copy(bytes, machine_direct(gpa), size);
	return 0;
}

static int copy(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, bool store, unsigned kind)
{
	uint64_t piece;
	int error = 0;

	if (size > CUSTOS_USER_END)
		return -CUSTOS_E_FAULT;
	for (; size && !error; size -= piece, va += piece, bytes += piece) {
		piece = smaller(size, left_in_page(va));
		piece = smaller(piece, left_in_page((uintptr_t)bytes));
		error = copy_piece(process, va, bytes, piece, store, kind);
	}
	return error;
}

int copy_from_process(struct process *process, void *to, uint64_t va,
	uint64_t size, unsigned kind)
{
	return copy(process, va, to, size, false, kind);
}

int copy_to_process(struct process *process, uint64_t va, const void *from,
	uint64_t size, unsigned kind)
{
	return copy(process, va, (uint8_t *)(uintptr_t)from, size, true, kind);
}

static int console_piece(struct process *process, uint64_t va, uint64_t size)
{
	uint8_t *scratch = cpu_this()->scratch;
	uint64_t gpa;
	int error;

	if (!space_resolve(&process->space, va, false, &gpa))
		return -CUSTOS_E_FAULT;
	if (copy_is_monitors(gpa)) {
		error = ask_monitor(
			process, va, scratch, size, CUSTOS_COPY_SYSCALL_LOAD);
		if (error)
			return error;
		gpa = machine_gpa(scratch);
	}
	machine_hypercall(CUSTOS_CALL_CONSOLE, gpa, size, 0, 0, 0);
	return 0;
}

int copy_to_console(struct process *process, uint64_t va, uint64_t size)
{
	uint64_t piece;
	int error = 0;

	for (; size && !error; size -= piece, va += piece) {
		piece = smaller(size, left_in_page(va));
		error = console_piece(process, va, piece);
	}
	return error;
}
