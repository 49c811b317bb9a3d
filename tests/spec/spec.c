/* SPDX-License-Identifier: MIT */
#include "tests/spec/spec.h"

#define WAIT_MS 10000
#define FAILURES_SHOWN 12

volatile uint64_t board[PAGE_SIZE / 8] PAGE_ALIGNED;

static uint32_t board_memory;

#define BOARD_FAILURES 0

unsigned spec_failures(void)
{
	return (unsigned)board[BOARD_FAILURES];
}

void expect_fail(const char *file, int line, const char *what, int64_t got,
	int64_t wanted)
{
	if (__atomic_fetch_add(&board[BOARD_FAILURES], 1, __ATOMIC_SEQ_CST) >
		FAILURES_SHOWN)
		return;
	printf("  %s:%d: %s is %ld (0x%lx%s%s), not %ld\n", file, line, what,
		got, (uint64_t)got, got < 0 ? ", " : "",
		got < 0 ? error_name(got) : "", wanted);
	flush();
}

void spec_size(const char *format, ...)
{
	va_list args;

	printf("size: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

uint32_t spec_last_cpu(void)
{
	return cpu_count() - 1;
}

uint32_t spec_start_as(const char *role, uint64_t argument,
	const struct spawn_how *how, const uint32_t *caps, uint32_t count)
{
	struct custos_spawn_cap given[SPEC_CAPS + 1];
	char text[24];
	const char *const argv[] = {"spec", "role", role, text, NULL};
	int64_t slot;
	uint32_t i;

	assert(count <= SPEC_CAPS);
	snprintf(text, sizeof(text), "%lu", argument);
	for (i = 0; i < count; i++) {
		snprintf(given[i].name, sizeof(given[i].name), "%u", i);
		given[i].slot = caps[i];
		given[i].rights = CUSTOS_RIGHT_ALL;
	}
	given[count] = (struct custos_spawn_cap){
		"board", board_memory, CUSTOS_RIGHT_ALL};
	slot = spawn_as("program", argv, how, given, count + 1);
	if (slot < 0)
		printf("cannot start %s: %s\n", role, error_name(slot));
	assert(slot > 0);
	return (uint32_t)slot;
}

uint32_t spec_start(const char *role, uint64_t argument, uint32_t cpu,
	const uint32_t *caps, uint32_t count)
{
	const struct spawn_how how = {.cpu = cpu};

	return spec_start_as(role, argument, &how, caps, count);
}

uint32_t spec_start_kept(const char *role, uint64_t argument, uint32_t cpu,
	uint32_t keeper, const uint32_t *caps, uint32_t count)
{
	const struct spawn_how how = {.cpu = cpu, .flags = CUSTOS_SPAWN_NEW};
	uint32_t process = spec_start_as(role, argument, &how, caps, count);

	EXPECT(0, custos_process_set_cap(
			  process, CUSTOS_PROCESS_KEEPER, keeper));
	EXPECT(0, custos_process_resume(process, 0));
	return process;
}

uint32_t spec_given(unsigned i)
{
	char name[8];

	snprintf(name, sizeof(name), "%u", i);
	return cap_find(name);
}

static bool waited(uint64_t start)
{
	sleep_ms(1);
	return time_ns() - start > WAIT_MS * UINT64_C(1000000);
}

void spec_wait_state(uint32_t process, int64_t state)
{
	uint64_t start = time_ns();

	while (custos_process_state(process) != state)
		if (waited(start)) {
			EXPECT(state, custos_process_state(process));
			return;
		}
}

void spec_wait_word(unsigned word, uint64_t value)
{
	uint64_t start = time_ns();

	while (board[word] != value)
		if (waited(start)) {
			EXPECT(value, board[word]);
			return;
		}
}

uint32_t spec_bank(void)
{
	return cap_find("bank");
}

uint32_t spec_node(uint32_t bank, unsigned l2v)
{
	int64_t slot = object_create(bank, CUSTOS_CAP_GPT);

	EXPECT(true, slot > 0);
	EXPECT(0, custos_gpt_set_l2v((uint32_t)slot, l2v));
	return (uint32_t)slot;
}

uint32_t spec_page(uint32_t bank)
{
	int64_t slot = object_create(bank, CUSTOS_CAP_PAGE);

	EXPECT(true, slot > 0);
	return (uint32_t)slot;
}

void spec_map(uint32_t node, uint64_t va, uint64_t length)
{
	EXPECT(0, custos_gpt_map(cap_find("space"), va, node, 0, length,
			  CUSTOS_RIGHTS_MEMORY));
}

int64_t spec_frames(uint32_t bank)
{
	return custos_bank_usage(bank, CUSTOS_USAGE_OWN) -
	       custos_bank_usage(bank, CUSTOS_USAGE_TABLES);
}

__asm__(".text\n"
	".globl spec_store1, spec_store2, spec_store4, spec_store8\n"
	"spec_store1: mov %sil, (%rdi)\n ret\n"
	"spec_store2: mov %si, (%rdi)\n ret\n"
	"spec_store4: mov %esi, (%rdi)\n ret\n"
	"spec_store8: mov %rsi, (%rdi)\n ret\n"
	".globl spec_load1, spec_load2, spec_load4, spec_load8\n"
	"spec_load1: mov $-1, %rax\n mov (%rdi), %al\n ret\n"
	"spec_load2: mov $-1, %rax\n mov (%rdi), %ax\n ret\n"
	"spec_load4: mov $-1, %rax\n mov (%rdi), %eax\n ret\n"
	"spec_load8: mov (%rdi), %rax\n ret\n"
	".globl spec_xadd8\n"
	"spec_xadd8: lock xadd %rsi, (%rdi)\n mov %rsi, %rax\n ret\n"
	".globl spec_fill, spec_move1\n"
	"spec_fill: mov %rdx, %rcx\n mov %rsi, %rax\n rep stosb\n ret\n"
	"spec_move1: movsb\n ret\n");

void spec_drop(struct spec_message *message)
{
	if (message->resume)
		cap_slot_free(message->resume);
	message->resume = 0;
}

static int64_t receive(
	uint32_t endpoint, struct spec_message *to, uint64_t flags)
{
	if (!to->resume)
		to->resume = cap_slot_alloc();
	else
		custos_cappage_drop(cap_find("caps"), to->resume);
	to->message.string = (uint64_t)to->bytes;
	to->message.string_size = sizeof(to->bytes);
	to->message.cap_count = 1;
	to->message.caps[0] = to->resume;
	return custos_endpoint_receive(
		endpoint, (uint64_t)&to->message, flags);
}

int64_t spec_receive(uint32_t endpoint, struct spec_message *to)
{
	return receive(endpoint, to, 0);
}

int64_t spec_try(uint32_t endpoint, struct spec_message *to)
{
	return receive(endpoint, to, CUSTOS_NO_WAIT);
}

void spec_expect(uint32_t endpoint, uint64_t kind, struct spec_message *to)
{
	EXPECT(0, spec_receive(endpoint, to));
	EXPECT(kind, to->message.words[0]);
	EXPECT(CUSTOS_MESSAGE_KERNEL,
		to->message.flags & CUSTOS_MESSAGE_KERNEL);
}

bool spec_is_quiet(uint32_t endpoint)
{
	struct custos_message message = {0};

	return custos_endpoint_receive(endpoint, (uint64_t)&message,
		       CUSTOS_NO_WAIT) == -CUSTOS_E_WOULD_BLOCK;
}

void spec_value(struct spec_message *to, uint64_t value, unsigned size)
{
	EXPECT(0, custos_resume_value(to->resume, (uint64_t)&value, size));
}

static int play(const char *name, uint64_t argument)
{
	const struct spec_role *role;

	for (role = spec_roles; role->name; role++)
		if (!strcmp(role->name, name))
			return role->run(argument);
	return 127;
}

static void map_board(void)
{
	board_memory = cap_find("board");
	if (!board_memory)
		board_memory = spec_page(spec_bank());
	assert(!memory_map(board_memory, board, RIGHTS_RW));
}

int main(int argc, char **argv)
{
	uint64_t scale = argc > 1 ? parse_number(argv[1]) : 0;

	map_board();
	if (argc > 3 && !strcmp(argv[1], "role"))
		return play(argv[2], parse_number(argv[3]));
	spec_test(scale);
	printf("result: %s\n", spec_failures() ? "FAILED" : "ok");
	return spec_failures() != 0;
}
