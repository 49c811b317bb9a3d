/* SPDX-License-Identifier: MIT */
/*
 * F1: an entry in a position of memory receives the loads and stores there,
 * exactly, once each, without a frame; as the root of a space, too; reads and
 * writes invoked on it come to the same place; nobody can forge one.
 */
#include "tests/spec/spec.h"

#define PAYLOAD 0x77
#define OFFSET 0xabc
#define PAGES_USED 4
#define VALUE UINT64_C(0x8877665544332211)

static int role_access(uint64_t scale)
{
	uint64_t va = WINDOW + 3 * PAGE_SIZE + OFFSET;

	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	spec_store4(va, 0x11223344);
	for (uint64_t i = 0; i < scale; i++)
		spec_store8(WINDOW + 3 * PAGE_SIZE + i * 8 % PAGE_SIZE, i);
	EXPECT((-UINT64_C(1) << 8) | (VALUE & 0xff), spec_load1(va));
	EXPECT((-UINT64_C(1) << 16) | (VALUE & 0xffff), spec_load2(va));
	EXPECT(VALUE & 0xffffffff, spec_load4(va));
	EXPECT(VALUE, spec_load8(va));
	return 0;
}

static void check_first(const struct spec_message *m)
{
	const struct custos_access *access = &m->access;
	uint32_t value = 0x11223344;

	EXPECT(CUSTOS_ACCESS_STORE, access->kind);
	EXPECT((uint64_t)spec_store4, access->ip);
	EXPECT(WINDOW + 0x3abc, access->va);
	EXPECT(OFFSET, access->offset);
	EXPECT(4, access->size);
	EXPECT(0, memcmp(access->value, &value, 4));
	EXPECT(PAYLOAD, m->message.payload);
	EXPECT(CUSTOS_REASON_ENTRY, access->reason);
	EXPECT(RIGHTS_RW, access->rights & RIGHTS_RW);
	EXPECT(2, access->insn_size);
	EXPECT(true, m->message.flags & CUSTOS_MESSAGE_RESUME);
	EXPECT(CUSTOS_CAP_RESUME, cap_type(m->resume));
	EXPECT(true, access->seq != 0);
}

static void loads_and_stores(
	uint32_t endpoint, uint32_t node, uint64_t scale)
{
	static struct spec_message m;
	uint32_t a = spec_start(
		"access", scale, spec_last_cpu(), CAPS(node));
	uint64_t seq;
	int64_t frames;
	uint32_t stale;

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	check_first(&m);
	frames = spec_frames(spawned_bank(a));
	seq = m.access.seq;
	stale = (uint32_t)cap_copy(m.resume, CUSTOS_RIGHT_ALL);
	EXPECT(0, custos_resume_done(m.resume));
	EXPECT(-CUSTOS_E_STALE, custos_resume_done(m.resume));
	for (uint64_t i = 0; i < scale; i++) {
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(i * 8 % PAGE_SIZE, m.access.offset);
		EXPECT(0, memcmp(m.access.value, &i, 8));
		EXPECT(true, m.access.seq > seq);
		seq = m.access.seq;
		EXPECT(-CUSTOS_E_STALE, custos_resume_done(stale));
		EXPECT(0, custos_resume_done(m.resume));
	}
	cap_slot_free(stale);
	EXPECT(frames, spec_frames(spawned_bank(a)));
	for (unsigned size = 1; size <= 8; size *= 2) {
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(CUSTOS_ACCESS_LOAD, m.access.kind);
		EXPECT(size, m.access.size);
		spec_value(&m, VALUE, size);
	}
	EXPECT(0, wait_exit(a));
	EXPECT(true, spec_is_quiet(endpoint));
	spec_drop(&m);
}

/* read and write invoked on the entry reach the same code. */
static int role_invoke(uint64_t argument)
{
	uint64_t value = VALUE, back = 0;

	(void)argument;
	EXPECT(0, custos_page_write(spec_given(0), OFFSET, (uint64_t)&value, 8));
	EXPECT(0, custos_page_read(spec_given(0), OFFSET, (uint64_t)&back, 8));
	EXPECT(VALUE, back);
	return 0;
}

static void invocations(uint32_t endpoint, uint32_t entry)
{
	static struct spec_message m;
	uint32_t a = spec_start("invoke", 0, spec_last_cpu(), CAPS(entry));
	uint64_t value = VALUE;

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(CUSTOS_REASON_CALL, m.access.reason);
	EXPECT(true, keeper_is_store(&m.access));
	EXPECT(OFFSET, m.access.offset);
	EXPECT(8, m.access.size);
	EXPECT(0, memcmp(m.access.value, &value, 8));
	EXPECT(PAYLOAD, m.message.payload);
	EXPECT(0, custos_resume_done(m.resume));
	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(CUSTOS_REASON_CALL, m.access.reason);
	EXPECT(false, keeper_is_store(&m.access));
	spec_value(&m, VALUE, 8);
	EXPECT(0, wait_exit(a));
	spec_drop(&m);
}

/* Everything such a process does is asked, its instructions, too. */
static const uint8_t code[] = {
	0xc7, 0x04, 0x25, 0xbc, 0x3a, 0x00, 0x00, /* movl ..,0x3abc */
	0x44, 0x33, 0x22, 0x11, 0xb8, CUSTOS_OP_PROCESS_EXIT, 0, 0, 0,
	0xbf, 1, 0, 0, 0,	/* mov $1, %edi: slot of itself */
	0xbe, 55, 0, 0, 0,	/* mov $55, %esi */
	0x0f, 0x05};		/* syscall */

#define CODE_AT 0x100000

static uint32_t bare_process(uint32_t space)
{
	uint32_t bank = spec_bank();
	uint32_t process = (uint32_t)object_create(bank, CUSTOS_CAP_PROCESS);
	uint32_t caps = (uint32_t)object_create(bank, CUSTOS_CAP_CAPPAGE);
	struct custos_regs regs = {.rip = CODE_AT};

	EXPECT(CUSTOS_CAP_PROCESS, cap_type(process));
	EXPECT(CUSTOS_STATE_NEW, custos_process_state(process));
	EXPECT(0, custos_cappage_put(caps, 1, process));
	EXPECT(0, custos_process_set_cap(process, CUSTOS_PROCESS_SPACE, space));
	EXPECT(0, custos_process_set_cap(process, CUSTOS_PROCESS_CAPS, caps));
	EXPECT(0, custos_process_set_cap(process, CUSTOS_PROCESS_SCHEDULE,
			  cap_find("schedule")));
	EXPECT(0, custos_process_set_cap(process, CUSTOS_PROCESS_BANK, bank));
	EXPECT(0, custos_process_set_regs(process, (uint64_t)&regs));
	EXPECT(0, custos_process_resume(process, 0));
	return process;
}

static void as_a_root(uint32_t endpoint, uint32_t entry)
{
	static struct spec_message m;
	uint32_t process = bare_process(entry);
	unsigned stores = 0, fetches = 0;

	while (custos_process_state(process) != CUSTOS_STATE_ENDED &&
		fetches < 20) {
		if (spec_try(endpoint, &m)) {
			sleep_ms(1);
			continue;
		}
		EXPECT(CUSTOS_MESSAGE_ACCESS, m.message.words[0]);
		EXPECT(m.access.va, m.access.offset);
		if (m.access.kind == CUSTOS_ACCESS_FETCH) {
			uint64_t at = m.access.offset - CODE_AT;
			uint64_t size = sizeof(code) - at;

			EXPECT(true, at < sizeof(code));
			if (at >= sizeof(code))
				break;
			if (size > m.access.size)
				size = m.access.size;
			EXPECT(0, custos_resume_value(m.resume,
					  (uint64_t)code + at, size));
			fetches++;
			continue;
		}
		stores++;
		EXPECT(CUSTOS_ACCESS_STORE, m.access.kind);
		EXPECT(0x3abc, m.access.offset);
		EXPECT(4, m.access.size);
		EXPECT(0, custos_resume_done(m.resume));
	}
	EXPECT(1, stores);
	EXPECT(true, fetches >= 4);
	EXPECT(CUSTOS_STATE_ENDED, custos_process_state(process));
	EXPECT(55, custos_process_wait(process));
}

/* An access said, not made: no resume capability comes with it. */
static int role_forge(uint64_t argument)
{
	struct custos_access access = {
		.seq = 1, .size = 8, .kind = CUSTOS_ACCESS_STORE};
	struct custos_message message = {
		.words = {CUSTOS_MESSAGE_ACCESS},
		.string = (uint64_t)&access,
		.string_size = sizeof(access),
		.cap_count = 1,
		.caps = {cap_find("self")},
		.flags = CUSTOS_MESSAGE_KERNEL | CUSTOS_MESSAGE_RESUME};

	(void)argument;
	EXPECT(0, message_send(spec_given(0), &message));
	EXPECT(0, message_send(spec_given(0), &message));
	return 0;
}

static unsigned handled;

static void count_access(
	struct keeper *keeper, const struct custos_access *access)
{
	(void)keeper;
	(void)access;
	handled++;
}

static void forgeries(uint32_t endpoint, uint32_t entry)
{
	static const struct keeper_ops ops = {.access = count_access};
	static struct keeper keeper;
	static struct spec_message m;
	uint32_t a = spec_start("forge", 0, spec_last_cpu(), CAPS(entry));

	EXPECT(0, spec_receive(endpoint, &m));
	EXPECT(0, m.message.flags);
	EXPECT(CUSTOS_CAP_PROCESS,
		custos_discrim_classify(cap_find("discrim"), m.resume) &
			0xffff);
	keeper_init(&keeper, endpoint, &ops, NULL);
	EXPECT(0, keeper_once(&keeper, 0));
	EXPECT(1, keeper.forged);
	EXPECT(0, handled);
	EXPECT(0, wait_exit(a));
}

const struct spec_role spec_roles[] = {
	{"access", role_access},
	{"invoke", role_invoke},
	{"forge", role_forge},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t entry = (uint32_t)entry_create(endpoint, PAYLOAD);
	uint32_t node = spec_node(spec_bank(), 12);

	spec_size("%lu stores, 4 loads, root, invoked, forged", scale + 1);
	EXPECT(0, custos_gpt_set_slot(node, 3, entry));
	loads_and_stores(endpoint, node, scale);
	invocations(endpoint, entry);
	as_a_root(endpoint, entry);
	forgeries(endpoint, entry);
}
