/* SPDX-License-Identifier: MIT */
/*
 * F2: instructions of every kind do the same on memory that a keeper serves as
 * on pages, and the keeper sees exactly the accesses that the form's model
 * lists, wide ones whole. An access to a kept and a real page happens wholly or
 * not at all. What cannot be emulated faults, with its bytes, and does nothing.
 */
#include <cpuid.h>

#include "tests/spec/spec.h"

#define BASE 512 /* rbx, in the page */
#define AT_S 640
#define AT_D 832
#define SIZE 1024
#define LOG_MAX 24
#define FRAME_BYTES 64

/* The offsets are in form_run. */
struct registers {
	uint64_t rax, rcx, rdx, rsi, rdi, rbx, flags, rsp;
	uint8_t vector[2][32];
	uint64_t avx;
};

struct form {
	const void *code;
	const char *text, *model;
};

extern const struct form forms_begin[], forms_end[];
void form_run(struct registers *registers, const void *code);

__asm__(".text\n"
	"form_run: push %rbx\n push %rbp\n push %r12\n push %r13\n"
	" push %r14\n push %r15\n mov %rdi, %r15\n mov %rsi, %r13\n"
	" mov %rsp, 56(%r15)\n movups 64(%r15), %xmm0\n"
	" movups 96(%r15), %xmm1\n cmpq $0, 128(%r15)\n je 1f\n"
	" vmovups 64(%r15), %ymm0\n vmovups 96(%r15), %ymm1\n"
	"1: mov 8(%r15), %rcx\n mov 16(%r15), %rdx\n mov 24(%r15), %rsi\n"
	" mov 32(%r15), %rdi\n mov 40(%r15), %rbx\n pushq 48(%r15)\n"
	" popfq\n mov 0(%r15), %rax\n jmp *%r13\n"
	"form_back: mov %rax, 0(%r15)\n mov %rcx, 8(%r15)\n"
	" mov %rdx, 16(%r15)\n mov %rsi, 24(%r15)\n mov %rdi, 32(%r15)\n"
	" mov %rbx, 40(%r15)\n pushfq\n popq 48(%r15)\n cld\n"
	" movups %xmm0, 64(%r15)\n movups %xmm1, 96(%r15)\n"
	" cmpq $0, 128(%r15)\n je 1f\n"
	" vmovups %ymm0, 64(%r15)\n vmovups %ymm1, 96(%r15)\n vzeroupper\n"
	"1: mov 56(%r15), %rsp\n pop %r15\n pop %r14\n pop %r13\n"
	" pop %r12\n pop %rbp\n pop %rbx\n ret\n"
	".pushsection .data.forms, \"aw\"\n.balign 8\nforms_begin:\n"
	".popsection\n");

#define FORM(text, model)                                                      \
	__asm__("1: " text "\n jmp form_back\n"                                \
		".pushsection .data.forms, \"aw\"\n .quad 1b, 2f, 3f\n"        \
		".popsection\n.pushsection .rodata.forms, \"a\"\n"             \
		"2: .asciz \"" text "\"\n3: .asciz \"" model "\"\n"            \
		".popsection\n");

#include "tests/spec/forms.h"

__asm__(".pushsection .data.forms, \"aw\"\nforms_end:\n.popsection\n");

/* What the keeper saw, in a page shared with the program. */
struct log {
	volatile uint64_t count;
	struct {
		uint32_t kind, size;
		uint64_t offset;
	} records[LOG_MAX];
};

static struct log *log_page = (struct log *)WINDOW_3;
static uint64_t seed;
static bool has_avx;

static uint64_t next_random(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	return z ^ (z >> 31);
}

static bool find_avx(void)
{
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return false;
	return (low & 6) == 6 && (b & bit_AVX2);
}

/* The same for the same form; `shown` is what its addresses are to be. */
static void prepare(uint64_t form, uint64_t *memory, uint64_t shown,
	struct registers *r)
{
	uint8_t *bytes = (uint8_t *)r->vector;

	seed = form;
	for (unsigned i = 0; i < SIZE / 8; i++)
		memory[i] = next_random() & 0x4fff7fffbfffffff;
	for (unsigned i = 0; i < sizeof(r->vector); i += 8)
		memcpy(bytes + i,
			(uint64_t[]){next_random() & 0x4fff7fffbfffffff}, 8);
	r->rax = next_random();
	r->rcx = 5;
	r->rdx = next_random();
	r->flags = (next_random() & 0x8d5) | 0x202;
	r->rbx = shown + BASE;
	r->rsi = shown + AT_S;
	r->rdi = shown + AT_D;
	r->avx = has_avx;
}

static void run(const struct form *form, uint64_t *memory, uint64_t shown,
	struct registers *r)
{
	prepare((uint64_t)(form - forms_begin), memory, shown, r);
	form_run(r, form->code);
	r->rbx -= shown;
	r->rsi -= shown;
	r->rdi -= shown;
	r->rsp = 0;
}

/* ---- the model ---- */

static int64_t number(const char **at)
{
	bool minus = **at == '-';
	int64_t value = 0;

	*at += minus;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		value = value * 10 + (**at - '0');
	return minus ? -value : value;
}

static bool is_record(uint64_t i, unsigned kind, uint64_t size, uint64_t offset)
{
	return i < log_page->count && i < LOG_MAX &&
	       log_page->records[i].kind == kind &&
	       log_page->records[i].size == size &&
	       log_page->records[i].offset == offset;
}

static bool is_as_modelled(const char *model)
{
	uint64_t i = 0;

	if (!strncmp(model, "avx ", 4))
		model += 4;
	while (*model) {
		char kind = *model++;
		uint64_t size = (uint64_t)number(&model), offset;
		char base = *model++;

		offset = base == 'b' ? BASE : base == 's' ? AT_S : AT_D;
		offset += (uint64_t)number(&model);
		if (*model == ' ')
			model++;
		if (kind == 'M' && !is_record(i++, CUSTOS_ACCESS_RMW_LOAD, size,
					   offset))
			return false;
		if (!is_record(i++,
			    kind == 'L'   ? CUSTOS_ACCESS_LOAD
			    : kind == 'S' ? CUSTOS_ACCESS_STORE
					  : CUSTOS_ACCESS_RMW_STORE,
			    size, offset))
			return false;
	}
	return i == log_page->count;
}

static void tell(const char *what, const struct form *form)
{
	EXPECT(0, 1);
	printf("  %s: %s; model %s; seen", what, form->text, form->model);
	for (uint64_t i = 0; i < log_page->count && i < LOG_MAX; i++)
		printf(" %s %u @%ld",
			keeper_kind_name(log_page->records[i].kind),
			log_page->records[i].size,
			(int64_t)log_page->records[i].offset - BASE);
	printf("\n");
}

static void try_form(const struct form *form)
{
	static uint64_t real[SIZE / 8] __attribute__((aligned(64)));
	static struct registers a, b;
	uint64_t *backing = (uint64_t *)WINDOW_2;

	run(form, real, (uint64_t)real, &a);
	log_page->count = 0;
	run(form, backing, WINDOW, &b);
	if (memcmp(real, backing, SIZE))
		tell("memory differs", form);
	if (memcmp(&a, &b, sizeof(a)))
		tell("registers differ", form);
	if (!is_as_modelled(form->model))
		tell("accesses differ", form);
}

/* Slot 0 of the node is the entry; the page it serves is at WINDOW_2, the log
 * at WINDOW_3. */
static int role_forms(uint64_t argument)
{
	const struct form *form;
	struct custos_message done = {.words = {1}};
	uint64_t same = 0;

	(void)argument;
	has_avx = find_avx();
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	EXPECT(0, memory_map(spec_given(1), (void *)WINDOW_2, RIGHTS_RW));
	EXPECT(0, memory_map(spec_given(2), log_page, RIGHTS_RW));
	for (form = forms_begin; form < forms_end; form++) {
		if (!has_avx && !strncmp(form->model, "avx", 3))
			continue;
		try_form(form);
		same++;
	}
	board[64] = same;
	EXPECT(0, message_send(spec_given(3), &done));
	return 0;
}

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	uint64_t i = log_page->count;

	if (i < LOG_MAX) {
		log_page->records[i].kind = access->kind;
		log_page->records[i].size = access->size;
		log_page->records[i].offset = access->offset;
	}
	log_page->count = i + 1;
	keeper_store_ops.access(keeper, access);
}

static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	(void)message;
	keeper_stop(keeper);
}

static void corpus(uint32_t endpoint, uint32_t node)
{
	static const struct keeper_ops ops = {
		.access = on_access, .message = on_message};
	static struct keeper keeper;
	struct keeper_store store = {(uint8_t *)WINDOW_2, PAGE_SIZE};
	uint32_t backing = spec_page(spec_bank());
	uint32_t log = spec_page(spec_bank()), a;

	EXPECT(0, memory_map(backing, store.bytes, RIGHTS_RW));
	EXPECT(0, memory_map(log, log_page, RIGHTS_RW));
	keeper_init(&keeper, endpoint, &ops, &store);
	a = spec_start("forms", 0, spec_last_cpu(),
		CAPS(node, backing, log, endpoint));
	keeper_run(&keeper);
	EXPECT(0, wait_exit(a));
	spec_size("%lu forms of %lu, both halves of a page border, 3 that"
		  " cannot be", board[64], (uint64_t)(forms_end - forms_begin));
	EXPECT(true, forms_end - forms_begin >= 300);
}

/* ---- a kept and a real page ---- */

static int role_cross(uint64_t offset)
{
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	spec_store8(WINDOW + offset, UINT64_C(0x8877665544332211));
	return 0;
}

static void cross(uint32_t endpoint, uint32_t node, uint32_t page,
	uint64_t offset, bool refuse)
{
	static struct spec_message m;
	uint8_t before[8] = {1, 2, 3, 4, 5, 6, 7, 8}, after[8];
	uint64_t real = offset < PAGE_SIZE ? 0 : PAGE_SIZE - 4;
	uint32_t a;

	EXPECT(0, custos_page_write(page, real, (uint64_t)before, 4));
	a = spec_start("cross", offset, spec_last_cpu(), CAPS(node));
	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(4, m.access.size);
	EXPECT(CUSTOS_ACCESS_STORE, m.access.kind);
	EXPECT(offset < PAGE_SIZE ? PAGE_SIZE - 4 : 0, m.access.offset);
	EXPECT(0, custos_page_read(page, real, (uint64_t)after, 4));
	EXPECT(0, memcmp(before, after, 4));
	EXPECT(0, refuse ? custos_resume_fault(m.resume,
				   CUSTOS_FAULT_ACCESS_VIOLATION)
			 : custos_resume_done(m.resume));
	EXPECT(refuse ? CUSTOS_EXIT_MEMORY : 0, wait_exit(a));
	EXPECT(0, custos_page_read(page, real, (uint64_t)after, 4));
	EXPECT(refuse ? 1 : offset < PAGE_SIZE ? 0x55 : 0x11, after[0]);
	EXPECT(refuse, !memcmp(before, after, 4));
	spec_drop(&m);
}

/* ---- what cannot be emulated ---- */

void strange_0(uint64_t va);
void strange_1(uint64_t va);
void strange_2(uint64_t va);
__asm__("strange_0: lcall *(%rdi)\n"
	"strange_1: verw (%rdi)\n"
	"strange_2: lar (%rdi), %eax\n");

static void (*const strange[])(uint64_t) = {strange_0, strange_1, strange_2};

static int role_strange(uint64_t number)
{
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	strange[number](WINDOW + 8);
	return 0;
}

static void unemulatable(uint32_t endpoint, uint32_t node, uint64_t number)
{
	static struct spec_message m;
	uint32_t faults = (uint32_t)endpoint_create();
	uint32_t a = spec_start_kept("strange", number, spec_last_cpu(),
		(uint32_t)entry_create(faults, 1), CAPS(node));

	spec_expect(faults, CUSTOS_MESSAGE_FAULT, &m);
	EXPECT(CUSTOS_FAULT_UNEMULATABLE, m.message.words[1]);
	EXPECT((uint64_t)strange[number], m.access.ip);
	EXPECT(true, m.access.insn_size >= 2);
	EXPECT(0, memcmp(m.access.insn, (const void *)strange[number],
			  m.access.insn_size));
	EXPECT(true, spec_is_quiet(endpoint));
	EXPECT(0, custos_process_kill(a, 1));
	EXPECT(1, wait_exit(a));
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"forms", role_forms},
	{"cross", role_cross},
	{"strange", role_strange},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t entry = (uint32_t)entry_create(endpoint, 1);
	uint32_t node = spec_node(spec_bank(), 12);
	uint32_t page = spec_page(spec_bank());

	(void)scale;
	EXPECT(0, custos_gpt_set_slot(node, 0, entry));
	corpus(endpoint, node);
	EXPECT(0, custos_gpt_set_slot(node, 1, page));
	EXPECT(0, custos_gpt_set_slot(node, 2, entry));
	for (unsigned i = 0; i < 4; i++)
		cross(endpoint, node, page, (1 + i / 2) * PAGE_SIZE - 4, i % 2);
	for (uint64_t i = 0; i < 3; i++)
		unemulatable(endpoint, node, i);
}
