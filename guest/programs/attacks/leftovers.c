/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process looks for what others left behind, in the registers it
 * begins with, in those a system call returns with, in the frames it gets, in a
 * translation the CPU may still have of a page that is somebody else's now.
 */
#include "attack.h"

#define SECRET UINT64_C(0x5ec2e75ec2e75ec2)
#define PAGES 100

/* Leave it everywhere, and end. */
static int role_owner(uint64_t argument)
{
	int64_t memory = cap_slot_alloc();
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;
	uint64_t i;

	(void)argument;
	EXPECT(0, custos_bank_create_memory(cap_find("bank"),
			  (uint64_t)memory, PAGES * PAGE_SIZE));
	attack_map((uint32_t)memory, WINDOW, PAGES * PAGE_SIZE, RIGHTS_RW);
	for (i = 0; i < PAGES * PAGE_SIZE / 8; i++)
		at[i] = SECRET;
	__asm__ volatile("movq %0, %%xmm8; movddup %%xmm8, %%xmm8;"
			 "movaps %%xmm8, %%xmm9; movaps %%xmm8, %%xmm10;"
			 "movaps %%xmm8, %%xmm11; movaps %%xmm8, %%xmm12;"
			 "movaps %%xmm8, %%xmm13; movaps %%xmm8, %%xmm14;"
			 "movaps %%xmm8, %%xmm15; movdq2q %%xmm8, %%mm0;"
			 "movdq2q %%xmm8, %%mm5"
			 :
			 : "r"(SECRET)
			 : "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
			 "xmm14", "xmm15", "mm0", "mm5");
	/* Whose registers are these? The next one's, if nobody clears them. */
	custos_process_kill(cap_find("self"), 5);
	return 1;
}

static void registers_are_mine(void)
{
	uint64_t seen[20] = {0};
	unsigned i;

	__asm__ volatile("movaps %%xmm8, (%0); movaps %%xmm9, 16(%0);"
			 "movaps %%xmm13, 32(%0); movaps %%xmm15, 48(%0);"
			 "movq %%mm0, 64(%0); movq %%mm5, 72(%0); emms"
			 :
			 : "r"(((uint64_t)seen + 15) & ~UINT64_C(15))
			 : "memory");
	for (i = 0; i < 20; i++)
		EXPECT(true, seen[i] != SECRET);
}

static void frames_are_zeros(void)
{
	uint32_t slot = cap_slot_alloc();
	static uint8_t bytes[PAGE_SIZE];
	unsigned i, j;

	for (i = 0; i < 2 * PAGES; i++) {
		EXPECT(0, custos_bank_alloc(
				  cap_find("bank"), CUSTOS_CAP_PAGE, slot));
		EXPECT(0, custos_page_read(slot, 0, (uint64_t)bytes, PAGE_SIZE));
		for (j = 0; j < PAGE_SIZE; j += 8)
			if (*(uint64_t *)(bytes + j))
				EXPECT(0, *(uint64_t *)(bytes + j));
		custos_cappage_drop(cap_find("caps"), slot);
	}
	cap_slot_free(slot);
}

/* rcx and r11 are this process's own rip and flags. */
static void calls_return_nothing_of_the_kernel(void)
{
	uint64_t rax = CUSTOS_OP_TIMER_NOW, rcx, r11;

	__asm__ volatile("syscall; mov %%r11, %2"
			 : "+a"(rax), "=&c"(rcx), "=&r"(r11)
			 : "D"((uint64_t)cap_find("timer"))
			 : "r11", "memory");
	EXPECT(true, rcx < CUSTOS_USER_END);
	EXPECT(true, r11 < UINT64_C(1) << 22);
}

static void new_processes_are_empty(void)
{
	int64_t process = object_create(cap_find("bank"), CUSTOS_CAP_PROCESS);
	struct custos_regs regs;
	unsigned i;

	EXPECT(0, custos_process_get_regs((uint32_t)process, (uint64_t)&regs));
	for (i = 0; i < 16; i++)
		EXPECT(0, regs.gpr[i]);
	EXPECT(0, regs.rip | regs.fs_base);
	cap_slot_free((uint32_t)process);
}

static int role_finder(uint64_t argument)
{
	registers_are_mine();
	(void)argument;
	frames_are_zeros();
	calls_return_nothing_of_the_kernel();
	new_processes_are_empty();
	return 0;
}

/* Keeps reading a page that is freed, given to another, and written. */
static int role_watcher(uint64_t argument)
{
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;

	(void)argument;
	attack_map(attack_given(0), WINDOW, PAGE_SIZE, CUSTOS_RIGHT_READ);
	EXPECT(1, *at);
	message_send(attack_given(1), &(struct custos_message){0});
	while (*at != SECRET)
		;
	return 66;
}

static void translations_go(void)
{
	uint32_t page = attack_object(CUSTOS_CAP_PAGE), again, watcher;
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT);
	uint64_t value = 1, secret = SECRET;
	struct custos_message message = {0};

	EXPECT(0, custos_page_write(page, 0, (uint64_t)&value, sizeof(value)));
	watcher = attack_start("watcher", 0, CAPS(page, endpoint));
	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(0, custos_bank_free(attack_bank, page));
	again = attack_object(CUSTOS_CAP_PAGE); /* the same frame, most likely */
	EXPECT(0, custos_page_write(
			  again, 0, (uint64_t)&secret, sizeof(secret)));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(watcher));
	cap_slot_free(page);
	cap_slot_free(again);
	cap_slot_free(endpoint);
}

void attack(void)
{
	uint32_t owner = attack_start("owner", 0, NULL, 0), finder;

	EXPECT(5, wait_exit(owner));
	finder = attack_start("finder", 0, NULL, 0);
	EXPECT(0, wait_exit(finder));
	translations_go();
}

const struct attack_role attack_roles[] = {
	{"owner", role_owner},
	{"finder", role_finder},
	{"watcher", role_watcher},
	{NULL, NULL},
};
