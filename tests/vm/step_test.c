/* SPDX-License-Identifier: MIT */
/* Single steps on a closed page that stays closed to everybody else. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "arch/paging.h"
#include "tests/support/tests.h"
#include "tests/support/vm_kernel.h"
#include "vmm/vmm_impl.h"

static uint64_t vm_seed; /* of the present machine's randomness */

/* What the access handler of a test knows. */
struct watch {
	struct vm vm; /* first: vm_handler()'s context */
	pthread_mutex_t page; /* held while deciding or stepping */
	_Atomic int inside;
	uint64_t count;
	uint64_t last;
	enum target_step step;
	struct arch_fault fault;
	struct error err;
};

static void close_page_1(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	(void)ctx;
	vm_close_page(target_thread_target(thread), process->space, 1);
}

static void close_pages_1_2(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	close_page_1(ctx, thread, process);
	vm_close_page(target_thread_target(thread), process->space, 2);
}

static struct target_result run_watched(struct watch *w,
	const struct vm_code *code, const struct vm_options *options,
	enum target_resume (*access)(void *, struct target_thread *),
	void (*start)(void *, struct target_thread *,
		const struct target_process *))
{
	struct target_handler handler;

	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->page, NULL);
	vm_setup(&w->vm, code, options);
	handler = vm_handler(&w->vm);
	handler.access = access;
	handler.process_start = start;
	return vm_run(&w->vm, &handler);
}

/* ---- two CPUs on one word ---- */

VM_CODE(increments,
	"mov $0x401000, %ebx; mov loops_of_increments(%rip), %ecx\n"
	"1: lock incq (%rbx); dec %ecx; jnz 1b\n"
	"xor %eax, %eax; xor %edi, %edi; ud2\n"
	"loops_of_increments: .long 400");

static enum target_resume step_increment(
	void *ctx, struct target_thread *thread)
{
	struct target *target = target_thread_target(thread);
	uint64_t va = VM_PAGE(1), before, after;
	struct watch *w = ctx;
	struct arch_regs regs;

	pthread_mutex_lock(&w->page);
	assert_int_equal(atomic_fetch_add(&w->inside, 1), 0);
	regs = *target_thread_regs(thread);
	memcpy(&before, vm_page_bytes(target, target_thread_space(thread), 1),
		8);
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	memcpy(&after, vm_page_bytes(target, target_thread_space(thread), 1),
		8);
	assert_int_equal(w->step, TARGET_STEP_DONE);
	assert_int_equal(before, w->last);
	assert_int_equal(after, before + 1);
	assert_int_equal(target_thread_regs(thread)->rip, regs.rip + 4);
	assert_int_equal(
		target_thread_regs(thread)->gpr[ARCH_RSP], regs.gpr[ARCH_RSP]);
	assert_int_equal(target_thread_regs(thread)->rflags & ARCH_RFLAGS_TF,
		0);
	w->last = after;
	w->count++;
	atomic_fetch_sub(&w->inside, 1);
	pthread_mutex_unlock(&w->page);
	return TARGET_RESUME;
}

static void steps_of_two_cpus_never_overlap(void **state)
{
	struct target_result result;
	struct vmm_stats stats;
	struct watch w;

	(void)state;
	result = run_watched(&w, &increments,
		&(struct vm_options){ .cpus = 2, .interrupts = true },
		step_increment, close_page_1);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 0);
	assert_int_equal(w.count, 800);
	assert_int_equal(w.last, 800);
	vmm_get_stats(w.vm.target, &stats);
	assert_int_equal(stats.access_stops, 800);
	assert_int_equal(stats.steps, 800);
	assert_int_equal(stats.views_built, 2);
	vm_teardown(&w.vm);
}

/* ---- steps that do not retire ---- */

/* divides by what page 1 has: 0 */
VM_CODE(divides, "mov $0x401000, %ebx; xor %edx, %edx; mov $5, %eax\n"
		 "divq (%rbx)");

static enum target_resume step_and_pass_fault(
	void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	struct arch_regs before = *target_thread_regs(thread);
	uint64_t va = VM_PAGE(1) + 5;

	w->count++;
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	if (w->step != TARGET_STEP_FAULT)
		return TARGET_STOP;
	assert_memory_equal(
		&before, target_thread_regs(thread), sizeof(before));
	target_thread_fault(thread, &w->fault);
	return TARGET_RESUME;
}

static void fault_of_a_step_leaves_registers_and_goes_to_the_guest(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &divides, &(struct vm_options){ 0 },
		step_and_pass_fault, close_page_1);
	assert_int_equal(w.step, TARGET_STEP_FAULT);
	assert_int_equal(w.fault.vector, ARCH_VECTOR_DE);
	assert_int_equal(w.count, 1);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_DE);
	vm_teardown(&w.vm);
}

/* pushes what page 1 has onto a stack that is not mapped */
VM_CODE(pushes, "mov $0x401000, %ebx; mov $0x700000, %esp; pushq (%rbx)");

static void page_fault_of_a_step_has_code_and_address(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &pushes, &(struct vm_options){ 0 },
		step_and_pass_fault, close_page_1);
	assert_int_equal(w.step, TARGET_STEP_FAULT);
	assert_int_equal(w.fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(w.fault.error_code, ARCH_PF_USER | ARCH_PF_WRITE);
	assert_int_equal(w.fault.address, 0x6ffff8);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_PF);
	vm_teardown(&w.vm);
}

/* ---- two closed pages ---- */

VM_CODE(copies, "mov $0x401000, %esi; mov $0x402010, %edi; movsq\n"
		"xor %eax, %eax; mov %esi, %edi; and $255, %edi; ud2");

static enum target_resume step_one_then_both(
	void *ctx, struct target_thread *thread)
{
	struct target *target = target_thread_target(thread);
	space_t space = target_thread_space(thread);
	uint64_t va[2] = { VM_PAGE(2) + 0x10, VM_PAGE(1) };
	struct watch *w = ctx;

	w->count++;
	memcpy(vm_page_bytes(target, space, 1), "abcdefgh", 8);
	w->step = target_thread_step(thread, &va[1], 1, &w->fault, &w->err);
	assert_int_equal(w->step, TARGET_STEP_FAULT);
	assert_int_equal(w->fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(w->fault.error_code, 0);
	assert_int_equal(w->fault.address & ~ARCH_PAGE_MASK, VM_PAGE(2));
	w->step = target_thread_step(thread, va, 2, &w->fault, &w->err);
	assert_int_equal(w->step, TARGET_STEP_DONE);
	assert_memory_equal(vm_page_bytes(target, space, 2) + 0x10, "abcdefgh",
		8);
	return TARGET_RESUME;
}

static void page_not_named_stays_closed_to_the_step(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &copies, &(struct vm_options){ 0 },
		step_one_then_both, close_pages_1_2);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 8);
	assert_int_equal(w.count, 1);
	vm_teardown(&w.vm);
}

/* ---- flags ---- */

/* The stack is page 1: pushf and popf of DF, interrupts on. */
VM_CODE(flags, "mov $0x401800, %esp; std; pushfq; cld; popfq; pushfq\n"
	       "pop %rdi; cld; shr $8, %rdi; and $7, %edi\n"
	       "xor %eax, %eax; ud2");

static enum target_resume step_stack(void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	uint64_t va = VM_PAGE(1);

	w->count++;
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	assert_int_equal(w->step, TARGET_STEP_DONE);
	return TARGET_RESUME;
}

static void stepped_pushf_shows_the_programs_flags(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &flags,
		&(struct vm_options){ .interrupts = true }, step_stack,
		close_page_1);
	assert_int_equal(result.end, TARGET_EXITED);
	/* bits 10..8: DF IF TF */
	assert_int_equal(result.code, 6);
	assert_int_equal(w.count, 4);
	vm_teardown(&w.vm);
}

/* TF set by the program itself: the trap after the stepped instruction is its
 * own. */
VM_CODE(traps, "mov $0x401000, %ebx; pushfq; orl $0x100, (%rsp); popfq\n"
	       "incq (%rbx)");

static void programs_own_trap_follows_a_step(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &traps, &(struct vm_options){ 0 }, step_stack,
		close_page_1);
	assert_int_equal(w.count, 1);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_DB);
	assert_non_null(strstr(w.vm.report, "debug trap"));
	vm_teardown(&w.vm);
}

static enum target_resume step_and_undo(void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	uint64_t va = VM_PAGE(1);
	struct arch_regs before = *target_thread_regs(thread);

	w->count++;
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	assert_int_equal(w->step, TARGET_STEP_DONE);
	if (w->count == 1) /* roll back: the program comes again */
		target_thread_set_regs(thread, &before);
	return TARGET_RESUME;
}

static void rolled_back_step_leaves_no_trap(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &traps, &(struct vm_options){ 0 },
		step_and_undo, close_page_1);
	assert_int_equal(w.count, 2);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_DB);
	vm_teardown(&w.vm);
}

VM_CODE(mov_ss, "mov $0x401000, %ebx; mov (%rbx), %ss");

static enum target_resume step_and_stop(void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	uint64_t va = VM_PAGE(1);

	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	return TARGET_STOP;
}

static void instruction_without_trap_is_refused(void **state)
{
	struct target_result result;
	struct watch w;

	(void)state;
	result = run_watched(&w, &mov_ss, &(struct vm_options){ 0 },
		step_and_stop, close_page_1);
	assert_int_equal(result.end, TARGET_STOPPED);
	assert_int_equal(w.step, TARGET_STEP_CANNOT);
	assert_non_null(strstr(w.err.text, "0x400005"));
	vm_teardown(&w.vm);
}

/* ---- views follow the guest's tables ---- */

/* Where the leaf entry of user page n is. */
static uint64_t *leaf_entry(struct vm *vm, space_t space, unsigned n)
{
	struct vmm *vmm = vmm_of(vm->target);
	struct paging_path path;

	assert_true(paging_walk(
		space, VM_PAGE(n), vmm_ram_read_word, &vmm->ram, &path));
	return (void *)vmm_gpa_range(&vmm->ram, path.entry_gpa[3], 8);
}

/* Change an entry beside the page's before every step: the view must be made
 * anew each time, more often than its pool has frames for. */
static enum target_resume step_with_changes(
	void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	space_t space = target_thread_space(thread);
	uint64_t *entry = leaf_entry(&w->vm, space, 63);
	uint64_t va = VM_PAGE(1), value;

	*entry ^= ARCH_PTE_NX;
	w->count++;
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	assert_int_equal(w->step, TARGET_STEP_DONE);
	memcpy(&value, vm_page_bytes(w->vm.target, space, 1), 8);
	assert_int_equal(value, w->count);
	/* What the CPU does to an entry by itself is no change. */
	*entry ^= ARCH_PTE_ACCESSED;
	return TARGET_RESUME;
}

static void views_are_rebuilt_when_tables_change(void **state)
{
	struct target_result result;
	struct vmm_stats stats;
	struct watch w;

	(void)state;
	result = run_watched(&w, &increments, &(struct vm_options){ 0 },
		step_with_changes, close_page_1);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(w.count, 400);
	vmm_get_stats(w.vm.target, &stats);
	assert_int_equal(stats.views_built, 400);
	assert_int_equal(stats.missed_accesses, 0);
	vm_teardown(&w.vm);
}

/* ---- page tables that make no sense ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return *seed >> 16;
}

/* An entry as a kernel gone mad may leave it. */
static uint64_t mad_entry(uint64_t *seed, uint64_t entry)
{
	static const uint64_t places[] = { CUSTOS_RAM_BASE, CUSTOS_DEVICE_BASE,
		CUSTOS_MONITOR_BASE, CUSTOS_ALIAS_BASE, 0,
		UINT64_C(0x000ffffffffff000) };
	uint64_t at = places[next_random(seed) % 6];

	if (next_random(seed) % 4 == 0)
		return entry ^ UINT64_C(1) << (next_random(seed) % 64);
	return (at + ((next_random(seed) % 300) << 12)) |
		(next_random(seed) & 0xff) | 7;
}

/* ctx->last is the seed. The step may end in any way that is not a crash of
 * ours; the tables are right again before the guest goes on. */
static enum target_resume step_on_mad_tables(
	void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;
	struct vmm *vmm = vmm_of(w->vm.target);
	struct arch_regs regs = *target_thread_regs(thread);
	uint64_t va = VM_PAGE(1), *entry, saved;
	struct paging_path path;

	if (!w->count)
		w->last = vmm->cpus[0].stats.access_stops + vm_seed;
	assert_true(paging_walk(target_thread_space(thread), va,
		vmm_ram_read_word, &vmm->ram, &path));
	entry = (void *)vmm_gpa_range(&vmm->ram,
		path.entry_gpa[next_random(&w->last) % 4], 8);
	saved = *entry;
	*entry = mad_entry(&w->last, saved);
	w->step = target_thread_step(thread, &va, 1, &w->fault, &w->err);
	*entry = saved;
	target_thread_set_regs(thread, &regs);
	return ++w->count < 40 ? TARGET_RESUME : TARGET_STOP;
}

static void mad_page_tables_do_not_hurt_the_monitor(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct error err;
	struct watch w;

	(void)state;
	for (vm_seed = 1; vm_seed <= 10; vm_seed++) {
		memset(&w, 0, sizeof(w));
		vm_setup(&w.vm, &increments, &(struct vm_options){ 0 });
		handler = vm_handler(&w.vm);
		handler.access = step_on_mad_tables;
		handler.process_start = close_page_1;
		target_run(w.vm.target, &handler, &result, &err);
		assert_true(w.count > 0);
		if (result.end == TARGET_FAILED)
			assert_true(err.text[0]);
		vm_teardown(&w.vm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_of_two_cpus_never_overlap),
		cmocka_unit_test(
			fault_of_a_step_leaves_registers_and_goes_to_the_guest),
		cmocka_unit_test(page_fault_of_a_step_has_code_and_address),
		cmocka_unit_test(page_not_named_stays_closed_to_the_step),
		cmocka_unit_test(stepped_pushf_shows_the_programs_flags),
		cmocka_unit_test(programs_own_trap_follows_a_step),
		cmocka_unit_test(rolled_back_step_leaves_no_trap),
		cmocka_unit_test(instruction_without_trap_is_refused),
		cmocka_unit_test(views_are_rebuilt_when_tables_change),
		cmocka_unit_test(mad_page_tables_do_not_hurt_the_monitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
