/* SPDX-License-Identifier: MIT */
/* Copies go piece by piece; a piece crosses no page on either side. */
#include "copy.h"

#include "abi/custos_calls.h"
#include "call.h"
#include "cpu.h"
#include "keep.h"
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

static int64_t ask_monitor(struct process *process, uint64_t va,
	const void *kernel, uint64_t size, unsigned kind)
{
	struct custos_cpu_state *state = &boot_info->cpus[cpu_this()->index];
	int64_t result;

	/* Saved registers of a system call are those behind its SYSCALL. */
	state->copy_ip = process->frame.rip - 2;
	state->copy_frame = machine_gpa(&process->frame);
	result = machine_hypercall(CUSTOS_CALL_COPY, process->cr3, va,
		machine_gpa(kernel), size, kind);

	if (result == -CUSTOS_ERR_DENIED)
		return -CUSTOS_E_DENIED;
	return result ? -CUSTOS_E_FAULT : 0;
}

/* Not to be had at once: 1, a keeper may have it; or why not. */
static int64_t resolve(
	struct process *process, uint64_t va, bool store, uint64_t *out_gpa)
{
	int error = space_resolve(process, va, store, out_gpa);

	if (error >= 0)
		return error;
	if (process != cpu_this()->current)
		return CALL_RESTART;
	return keep_exhausted(process, CUSTOS_CAP_TABLE, va);
}

static int64_t copy_piece(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, bool store, unsigned kind)
{
	uint64_t gpa;
	int64_t error = resolve(process, va, store, &gpa);

	if (error == 1)
		return keep_copy(process, va, bytes, size,
			CUSTOS_ACCESS_SYSCALL_LOAD + kind);
	if (error)
		return error;
	if (copy_is_monitors(gpa))
		return ask_monitor(process, va, bytes, size, kind);
	if (store)
		machine_copy(machine_direct(gpa), bytes, size);
	else
		machine_copy(bytes, machine_direct(gpa), size);
	return 0;
}

static int64_t copy(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, bool store, unsigned kind)
{
	uint64_t piece;
	int64_t error = 0;

	if (size > CUSTOS_USER_END)
		return -CUSTOS_E_FAULT;
	for (; size && !error; size -= piece, va += piece, bytes += piece) {
		piece = smaller(size, left_in_page(va));
		piece = smaller(piece, left_in_page((uintptr_t)bytes));
		error = copy_piece(process, va, bytes, piece, store, kind);
	}
	return error;
}

int64_t copy_from_process(struct process *process, void *to, uint64_t va,
	uint64_t size, unsigned kind)
{
	return copy(process, va, to, size, false, kind);
}

int64_t copy_to_process(struct process *process, uint64_t va, const void *from,
	uint64_t size, unsigned kind)
{
	return copy(process, va, (uint8_t *)(uintptr_t)from, size, true, kind);
}

int64_t copy_prepare(
	struct process *process, uint64_t va, uint64_t size, unsigned kind)
{
	uint64_t piece, gpa;
	int64_t error = 0;

	if (size > CUSTOS_USER_END)
		return -CUSTOS_E_FAULT;
	for (; size && !error; size -= piece, va += piece) {
		piece = smaller(size, left_in_page(va));
		error = resolve(process, va, false, &gpa);
		if (error == 1)
			error = keep_copy(process, va, cpu_this()->scratch,
				piece, CUSTOS_ACCESS_SYSCALL_LOAD + kind);
	}
	return error;
}

static int64_t console_piece(
	struct process *process, uint64_t va, uint64_t size)
{
	uint8_t *scratch = cpu_this()->scratch;
	uint64_t gpa;
	int64_t error = resolve(process, va, false, &gpa);

	if (error == 1 || (!error && copy_is_monitors(gpa))) {
		error = copy_piece(process, va, scratch, size, false,
			CUSTOS_COPY_SYSCALL_LOAD);
		gpa = machine_gpa(scratch);
	}
	if (error)
		return error;
	machine_hypercall(CUSTOS_CALL_CONSOLE, gpa, size, 0, 0, 0);
	return 0;
}

int64_t copy_to_console(struct process *process, uint64_t va, uint64_t size)
{
	uint64_t piece;
	int64_t error =
		copy_prepare(process, va, size, CUSTOS_COPY_SYSCALL_LOAD);

	for (; size && !error; size -= piece, va += piece) {
		piece = smaller(size, left_in_page(va));
		error = console_piece(process, va, piece);
	}
	return error;
}
