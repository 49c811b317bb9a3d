/* SPDX-License-Identifier: MIT */
/* What the guest gets, as the guest reads it. */
#include "tests/unit/system/described.h"

#include "guest/programs/system/description.c"

static const char everything[] =
	"local small = bank{ 'small', limit = 500, keeper = 'ep' }\n"
	"local ep = endpoint{ 'ep', bank = small }\n"
	"entry{ 'seven', endpoint = ep, payload = 7 }\n"
	"notice{ 'bell', endpoint = ep, bits = 3 }\n"
	"buffer{ 'in', process = 'server', id = 9 }\n"
	"local m = memory{ 'm', size = '16K', file = 'bytes.bin' }\n"
	"local kept = memory{ 'kept', size = '1M', contents = 'abc',\n"
	"  pages = { [1] = 'seven', [200] = { ep, payload = 5,\n"
	"    virtual = true } } }\n"
	"local v = virtual{ 'v', size = '1M', keeper = ep }\n"
	"local n = node{ 'n', size = '2M', pays = small, keeper = 'seven',\n"
	"  map = { { m, at = '64K' }, { v, at = '1M' } } }\n"
	"local ro = view{ 'ro', of = m, offset = '4K', rights = 'r nocall' }\n"
	"device{ 'dev', size = '4K' }\n"
	"process{ 'client', program = 'p.elf', args = { arg[1], 2 }, cpu = 1,\n"
	"  slice = '2ms', bank = small, keeper = ep, stays = true,\n"
	"  caps = { 'console', ro, bell = 'bell', srv = 'server',\n"
	"    ep = { ep, rights = 'send' } },\n"
	"  map = { { n, at = 0x10000000 }, { kept, at = '1G', rights = 'r' },\n"
	"    { 'dev', at = '2G' } } }\n"
	"process{ 'server', program = 'q.elf', service = true,\n"
	"  caps = { 'ep' } }\n";

/* What of it the tests look at, as text: one step a line. */
static void print_steps(const struct custos_system *d, struct buf *out)
{
	static const char *const names[] = {
#define SYSTEM_STEP(NAME, number, makes, a, b, what) [number] = #NAME,
		CUSTOS_SYSTEM_STEPS
#undef SYSTEM_STEP
	};

	for (uint32_t i = 0; i < d->step_count; i++) {
		const struct custos_system_step *s = description_step(d, i);

		buf_printf(out, "%s %s x=%lx y=%lx z=%lx r=%x data=%lu\n",
			names[s->op],
			(const char *)description_at(d, s->name), s->x, s->y,
			s->z, s->rights, s->data_size);
	}
}

static const struct custos_system *pack(const char *text, struct buf *bytes)
{
	struct system *system = described(text);
	const struct custos_system *d;
	struct error err = { 0 };

	if (system_pack(system, CUSTOS_SYSTEM_QUIET, bytes, &err))
		fail_msg("%s", err.text);
	system_destroy(system);
	d = (const struct custos_system *)bytes->data;
	assert_null(description_check(d, bytes->len));
	return d;
}

static void steps_come_in_an_order_that_works(void **state)
{
	struct buf bytes = BUF_INIT;
	const struct custos_system *d = pack(everything, &bytes);
	bool made[CUSTOS_SYSTEM_OBJECTS_MAX] = { false };

	(void)state;
	for (uint32_t i = 0; i < d->step_count; i++) {
		const struct custos_system_step *s = description_step(d, i);

		assert_int_equal(made[s->object], !shapes[s->op].makes);
		made[s->object] = true;
		assert_true(s->a == CUSTOS_SYSTEM_NONE || made[s->a]);
		assert_true(s->b == CUSTOS_SYSTEM_NONE || made[s->b]);
	}
	buf_fini(&bytes);
}

static void assert_steps(const char *text, const char *const *want)
{
	struct buf bytes = BUF_INIT, steps = BUF_INIT;
	const char *at;

	print_steps(pack(text, &bytes), &steps);
	at = buf_str(&steps);
	for (; *want; want++) {
		at = strstr(at, *want);
		if (!at)
			fail_msg("no %s in (or behind another)\n%s", *want,
				buf_str(&steps));
	}
	buf_fini(&steps);
	buf_fini(&bytes);
}

static void steps_say_what_the_description_says(void **state)
{
	static const char *const want[] = {
		"GIVEN console", "GIVEN schedule", "GIVEN bank",
		"BANK small x=1f4", "ENTRY seven x=7", "NOTICE bell x=3",
		"BUFFER in x=9", "MEMORY m x=4000 y=0 z=0 r=0 data=10",
		NULL,
	};
	static const char *const node[] = {
		"NODE n x=12", "NODE_BANK n", "MAP n x=10000 y=0 z=4000 r=383",
		"MAP n x=100000 y=0 z=100000 r=383", "NODE_KEEPER n",
		"WINDOW n x=200000", NULL,
	};
	static const char *const view[] = { "NODE ro x=c",
		"MAP ro x=0 y=1000 z=3000 r=301", "WINDOW ro x=3000 y=0 z=0 "
		"r=301", NULL };
	static const char *const processes[] = { "PROCESS client",
		"SPACE client x=10000000 y=0 z=200000 r=383",
		"SPACE client x=40000000 y=0 z=100000 r=381",
		"PROCESS_KEEPER client", "SCHEDULE client x=1 y=1e8480",
		"BANK_KEEPER small", "RECIPIENT ep", "THREAD in",
		"START client", "START server", "WAIT client", NULL };

	(void)state;
	assert_steps(everything, want);
	assert_steps(everything, node);
	assert_steps(everything, view);
	assert_steps(everything, processes);
}

static void special_pages_are_in_nodes_of_their_own(void **state)
{
	static const char *const want[] = {
		"NODE kept x=12",
		"NODE kept x=c", "PAGE kept x=0 y=1 z=0 r=0 data=3",
		"PAGE kept x=1000 y=1 z=0 r=7 data=0",
		"PAGE kept x=2000 y=3e z=0 r=0",
		"MAP kept x=0 y=0 z=40000",
		"PAGE kept x=40000 y=40", "PAGE kept x=80000 y=40",
		"NODE kept x=c", "PAGE kept x=0 y=8", "POSITION kept x=8",
		"PAGE kept x=9000 y=37", "MAP kept x=c0000 y=0 z=40000",
		"WINDOW kept x=100000", NULL,
	};

	(void)state;
	assert_steps(everything, want);
}

static void main_alone_is_waited_for(void **state)
{
	struct buf bytes = BUF_INIT, steps = BUF_INIT;

	(void)state;
	print_steps(pack("process{ 'a', program = 'p.elf' }\n"
			 "process{ 'b', program = 'p.elf', main = true }\n",
			    &bytes),
		&steps);
	assert_null(strstr(buf_str(&steps), "WAIT a"));
	assert_non_null(strstr(buf_str(&steps), "WAIT b"));
	buf_fini(&steps);
	buf_fini(&bytes);
}

static void process_data_is_what_spawn_needs(void **state)
{
	struct buf bytes = BUF_INIT;
	const struct custos_system *d = pack(everything, &bytes);
	const struct custos_system_process *p = NULL;

	(void)state;
	for (uint32_t i = 0; !p; i++)
		if (description_step(d, i)->op == CUSTOS_SYSTEM_PROCESS &&
			!strcmp(description_at(d, description_step(d, i)->name),
				"client"))
			p = description_at(d, description_step(d, i)->data);
	assert_int_equal(p->args_count, 3);
	assert_int_equal(p->args_size, 15);
	assert_memory_equal(description_at(d, p->args), "client\0first\0002", 15);
	assert_int_equal(p->cpu, 1);
	assert_int_equal(p->cap_count, 5);
	assert_string_equal(description_at(d, p->caps[0].name), "console");
	assert_string_equal(description_at(d, p->caps[1].name), "ro");
	assert_string_equal(description_at(d, p->caps[2].name), "bell");
	assert_string_equal(description_at(d, p->caps[3].name), "ep");
	assert_int_equal(p->caps[3].rights, CUSTOS_RIGHT_SEND);
	buf_fini(&bytes);
}

/* Sums made right again, so that it is not only these that find it. */
static bool is_refused(struct buf *bytes)
{
	struct custos_system *d = (struct custos_system *)bytes->data;

	if (d->size <= bytes->len && d->size % 8 == 0)
		d->checksum = custos_system_checksum(d, d->size);
	return description_check(d, bytes->len) != NULL;
}

static void damage_is_found(void **state)
{
	struct buf bytes = BUF_INIT;
	struct custos_system *d =
		(struct custos_system *)pack(everything, &bytes);
	struct custos_system_step *s;
	struct custos_system good;

	(void)state;
	assert_non_null(description_check(d, bytes.len - 8));
	bytes.data[bytes.len / 2] ^= 1;
	assert_string_equal(
		description_check(d, bytes.len), "a damaged description");
	bytes.data[bytes.len / 2] ^= 1;
	good = *d;
	d->version++;
	assert_true(is_refused(&bytes));
	*d = good;
	d->steps += 8;
	assert_true(is_refused(&bytes));
	*d = good;
	d->object_count = 3;
	assert_true(is_refused(&bytes));
	*d = good;
	d->step_count++;
	assert_true(is_refused(&bytes));
	*d = good;
	s = (struct custos_system_step *)description_step(d, 7);
	s->op = CUSTOS_SYSTEM_OP_MAX;
	assert_true(is_refused(&bytes));
	s->op = CUSTOS_SYSTEM_PROCESS;
	assert_true(is_refused(&bytes));
	buf_fini(&bytes);
}

/* No byte of it can make the reader leave it. */
static void random_damage_does_no_harm(void **state)
{
	struct buf bytes = BUF_INIT;
	uint64_t random = 1;

	(void)state;
	pack(everything, &bytes);
	for (int i = 0; i < 20000; i++) {
		size_t at;
		char old;

		random = random * 6364136223846793005u + 1442695040888963407u;
		at = (random >> 20) % bytes.len;
		old = bytes.data[at];
		bytes.data[at] = (char)(random >> 50);
		is_refused(&bytes);
		bytes.data[at] = old;
	}
	buf_fini(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_come_in_an_order_that_works),
		cmocka_unit_test(steps_say_what_the_description_says),
		cmocka_unit_test(special_pages_are_in_nodes_of_their_own),
		cmocka_unit_test(main_alone_is_waited_for),
		cmocka_unit_test(process_data_is_what_spawn_needs),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(random_damage_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
