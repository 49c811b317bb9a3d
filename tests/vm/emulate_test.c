/* SPDX-License-Identifier: MIT */
/*
 * CUSTOS_CALL_EMULATE as a guest makes it: what is in guest memory is used and
 * changed as the contract says, and what is wrong there is refused. The user
 * code asks for the next row by a mark, and makes its call.
 */
#include <string.h>

#include "abi/custos_abi.h"
#include "abi/custos_calls.h"
#include "session/session_impl.h"
#include "tests/support/tests.h"
#include "tests/support/vm_kernel.h"

#define CODE VM_PAGE(2)
#define DATA VM_PAGE(3)
#define NOWHERE VM_PAGE(80) /* mapped to nothing */

/* Page 4: what the user code and the test tell each other. */
VM_CODE(asks,
	"1: mov $10, %ebx; mov $1, %edi; mov $0x100000000, %rsi\n"
	"mov $1, %r8d; mov $1, %eax; ud2\n"
	"mov $0x404000, %r12d; mov (%r12), %rdi; test %rdi, %rdi; jz 2f\n"
	"mov $11, %ebx; mov $1, %eax; ud2\n"
	"mov %rax, 8(%r12); jmp 1b\n"
	"2: mov $42, %edi; xor %eax, %eax; ud2");

struct guest {
	struct vm vm; /* first: vm_handler()'s context */
	struct session *session;
	space_t space;
	unsigned row;
};

struct shared {
	uint64_t call, result;
};

/* Everything a row can look at or change, in guest memory. */
struct row {
	struct shared *shared;
	struct custos_emulate *e;
	uint64_t *frame; /* 23 words */
	uint8_t *xstate, *data, *code;
	uint64_t data_gpa;
};

#define FRAME_RIP 18
#define FRAME_RSP 21

static uint64_t gpa_of(struct guest *g, unsigned n)
{
	return vm_page_frame(g->vm.target, g->space, n) << 12;
}

static struct row row_of(struct guest *g)
{
	struct target *t = g->vm.target;

	return (struct row){
		.shared = (void *)vm_page_bytes(t, g->space, 4),
		.e = (void *)vm_page_bytes(t, g->space, 8),
		.frame = (void *)vm_page_bytes(t, g->space, 10),
		.xstate = vm_page_bytes(t, g->space, 12),
		.data = vm_page_bytes(t, g->space, 3),
		.code = vm_page_bytes(t, g->space, 2),
		.data_gpa = gpa_of(g, 3),
	};
}

/* mov rax, [rbx] at CODE, rbx = DATA */
static void prepare(struct guest *g, struct row *r)
{
	memset(r->e, 0, sizeof(*r->e));
	memset(r->frame, 0, 4096);
	memset(r->xstate, 0, 4096);
	memset(r->data, 0, 4096);
	memcpy(r->code, "\x48\x8b\x03", 3);
	r->e->process = 1;
	r->e->cr3 = g->space;
	r->e->frame = gpa_of(g, 10);
	r->e->op = CUSTOS_EMULATE_RUN;
	r->frame[ARCH_RBX] = DATA;
	r->frame[FRAME_RIP] = CODE;
	r->frame[FRAME_RIP + 1] = 0x23;
	r->frame[FRAME_RIP + 2] = 2;
	r->frame[FRAME_RSP] = DATA + 64;
	r->data[0] = 77;
	r->shared->call = gpa_of(g, 8);
	r->shared->result = 1;
}

/* ---- what is done ---- */

static void nothing(struct guest *g, struct row *r)
{
	(void)g;
	(void)r;
}

static void loaded(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->frame[ARCH_RAX], 77);
	assert_int_equal(r->frame[ARCH_RBX], DATA);
	assert_int_equal(r->frame[FRAME_RIP], CODE + 3);
	assert_int_equal(r->frame[FRAME_RIP + 1], 0x23);
	assert_int_equal(r->frame[FRAME_RSP], DATA + 64);
	assert_int_equal(r->e->insn_size, 3);
}

static void push_fs(struct guest *g, struct row *r)
{
	(void)g;
	/* push qword fs:[0] */
	memcpy(r->code, "\x64\xff\x34\x25\0\0\0", 8);
	r->e->fs_base = DATA;
}

static void pushed(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->frame[FRAME_RSP], DATA + 56);
	assert_int_equal(r->data[56], 77);
}

static void from_nowhere(struct guest *g, struct row *r)
{
	(void)g;
	r->frame[ARCH_RBX] = NOWHERE;
}

static void needed(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_NEED);
	assert_int_equal(r->e->need.va, NOWHERE);
	assert_int_equal(r->e->need.size, 8);
	assert_int_equal(r->e->need.kind, CUSTOS_ACCESS_LOAD);
	assert_int_equal(r->frame[FRAME_RIP], CODE);
}

static void served(struct guest *g, struct row *r)
{
	from_nowhere(g, r);
	r->e->served[0].va = NOWHERE;
	r->e->served[0].size = 8;
	r->e->served[0].kind = CUSTOS_ACCESS_LOAD;
	r->e->served[0].data[0] = 77;
	r->e->served_count = 1;
}

static void loaded_served(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->frame[ARCH_RAX], 77);
}

static void of_the_kernel(struct guest *g, struct row *r)
{
	(void)g;
	r->frame[ARCH_RBX] = VM_KERNEL_BASE; /* mapped without the user bit */
}

static void needed_kernel(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_NEED);
	assert_int_equal(r->e->need.va, VM_KERNEL_BASE);
}

static void opened(struct guest *g, struct row *r)
{
	from_nowhere(g, r);
	r->e->open[0].va = NOWHERE;
	r->e->open[0].gpa = r->data_gpa;
	r->e->open[0].rights = CUSTOS_SEGMENT_READ;
	r->e->open_count = 1;
}

static void vector(struct guest *g, struct row *r)
{
	(void)g;
	memcpy(r->code, "\x0f\x10\x03", 3); /* movups xmm0, [rbx] */
}

static void wants_state(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_XSTATE);
}

static void vector_with_state(struct guest *g, struct row *r)
{
	vector(g, r);
	r->e->xstate = gpa_of(g, 12);
	memcpy(r->xstate, "\x7f\x03", 2);
	memcpy(r->xstate + 24, "\x80\x1f", 2);
}

static void loaded_vector(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->e->xstate_changed, 1);
	assert_int_equal(r->xstate[160], 77);
	assert_true(r->xstate[512] & 2);
}

static void step_store(struct guest *g, struct row *r)
{
	memcpy(r->code, "\x48\x89\x03", 3);
	r->frame[ARCH_RAX] = 5;
	opened(g, r);
	r->e->open[0].rights |= CUSTOS_SEGMENT_WRITE;
	r->e->op = CUSTOS_EMULATE_STEP;
}

static void stepped(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->data[0], 5);
	assert_int_equal(r->e->stepped_count, 1);
	assert_int_equal(r->e->stepped[0].old[0], 77);
	assert_int_equal(r->e->stepped[0].new[0], 5);
}

static void undo(struct guest *g, struct row *r)
{
	(void)g;
	r->e->op = CUSTOS_EMULATE_UNDO;
	r->data[0] = 5;
	r->frame[FRAME_RIP] = CODE + 3;
}

static void undone(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->data[0], 77);
	assert_int_equal(r->frame[FRAME_RIP], CODE);
}

static void divide(struct guest *g, struct row *r)
{
	(void)g;
	memcpy(r->code, "\x48\xf7\x73\x08", 4); /* div qword [rbx + 8] */
}

static void divided(struct row *r)
{
	assert_int_equal(r->e->result, CUSTOS_EMULATE_FAULT);
	assert_int_equal(r->e->vector, ARCH_VECTOR_DE);
}

/* ---- what is refused ---- */

#define HOSTILE(name, change)                                                  \
	static void name(struct guest *g, struct row *r)                       \
	{                                                                      \
		(void)g;                                                       \
		change;                                                        \
	}
HOSTILE(no_op, r->e->op = 0)
HOSTILE(other_op, r->e->op = 4)
HOSTILE(nobody, r->e->process = 77)
HOSTILE(misaligned, r->shared->call += 8)
HOSTILE(no_ram, r->shared->call = 0x1000)
HOSTILE(beyond_ram, r->shared->call = CUSTOS_RAM_BASE + (8 << 20) - 4096)
HOSTILE(frame_nowhere, r->e->frame = 0x1000)
HOSTILE(frame_crosses, r->e->frame += 4096 - 22 * 8)
HOSTILE(frame_misaligned, r->e->frame += 4)
HOSTILE(xstate_beyond, r->e->xstate = CUSTOS_RAM_BASE + (8 << 20) - 64)
HOSTILE(xstate_wraps, r->e->xstate = UINT64_MAX - 63)
HOSTILE(many_served, r->e->served_count = CUSTOS_SERVED_MAX + 1)
HOSTILE(most_served, r->e->served_count = UINT32_MAX)
HOSTILE(large_served, (served(g, r), r->e->served[0].size = 65))
HOSTILE(empty_served, (served(g, r), r->e->served[0].size = 0))
HOSTILE(served_wraps, (served(g, r), r->e->served[0].va = UINT64_MAX))
HOSTILE(served_kind, (served(g, r), r->e->served[0].kind = 5))
HOSTILE(many_open, r->e->open_count = CUSTOS_OPEN_MAX + 1)
HOSTILE(open_nowhere, (opened(g, r), r->e->open[0].gpa = 0x1000))
HOSTILE(open_misaligned, (opened(g, r), r->e->open[0].gpa += 8))
HOSTILE(open_va_misaligned, (opened(g, r), r->e->open[0].va += 8))
HOSTILE(open_rights, (opened(g, r), r->e->open[0].rights = 8))

static const struct {
	void (*change)(struct guest *g, struct row *r);
	void (*check)(struct row *r); /* NULL: it is refused */
} rows[] = {
	{ nothing, loaded },
	{ push_fs, pushed },
	{ from_nowhere, needed },
	{ served, loaded_served },
	{ of_the_kernel, needed_kernel },
	{ opened, loaded_served },
	{ vector, wants_state },
	{ vector_with_state, loaded_vector },
	{ step_store, stepped },
	{ undo, undone },
	{ divide, divided },
	{ no_op, NULL },
	{ other_op, NULL },
	{ nobody, NULL },
	{ misaligned, NULL },
	{ no_ram, NULL },
	{ beyond_ram, NULL },
	{ frame_nowhere, NULL },
	{ frame_crosses, NULL },
	{ frame_misaligned, NULL },
	{ xstate_beyond, NULL },
	{ xstate_wraps, NULL },
	{ many_served, NULL },
	{ most_served, NULL },
	{ large_served, NULL },
	{ empty_served, NULL },
	{ served_wraps, NULL },
	{ served_kind, NULL },
	{ many_open, NULL },
	{ open_nowhere, NULL },
	{ open_misaligned, NULL },
	{ open_va_misaligned, NULL },
	{ open_rights, NULL },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void check(struct guest *g, struct row *r)
{
	unsigned n = g->row - 1;
	int64_t wanted = rows[n].check ? 0 : -CUSTOS_ERR_ARGUMENT;

	if ((int64_t)r->shared->result != wanted)
		fail_msg("row %u: %lld", n, (long long)r->shared->result);
	if (rows[n].check)
		rows[n].check(r);
	else
		assert_int_equal(r->frame[FRAME_RIP], CODE);
}

static void on_start(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct guest *g = ctx;

	(void)thread;
	g->space = process->space;
}

static void on_mark(void *ctx, const struct target_process *process,
	const char *text, size_t len)
{
	struct guest *g = ctx;
	struct row r = row_of(g);

	(void)process;
	(void)text;
	(void)len;
	if (g->row)
		check(g, &r);
	prepare(g, &r);
	if (g->row == ROWS)
		r.shared->call = 0;
	else
		rows[g->row].change(g, &r);
	g->row++;
}

static void on_emulate(void *ctx, struct target_thread *thread,
	struct target_emulate *call)
{
	struct guest *g = ctx;

	emulate_call(g->session, thread, call);
}

static void calls_of_a_guest_are_answered_or_refused(void **state)
{
	struct session_config config = { 0 };
	struct target_handler handler;
	struct target_result result;
	struct guest g = { 0 };
	struct error err;

	(void)state;
	vm_setup(&g.vm, &asks, &(struct vm_options){ 0 });
	config.target = g.vm.target;
	config.ranges = range_set_create();
	config.names = names_create();
	assert_int_equal(session_create(&config, &g.session, &err), 0);
	handler = vm_handler(&g.vm);
	handler.process_start = on_start;
	handler.mark = on_mark;
	handler.emulate = on_emulate;
	result = vm_run(&g.vm, &handler);
	assert_string_equal(g.vm.report, "");
	assert_int_equal(result.code, 42);
	assert_int_equal(g.row, ROWS + 1);
	session_destroy(g.session);
	range_set_destroy(config.ranges);
	names_destroy(config.names);
	vm_teardown(&g.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_of_a_guest_are_answered_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
