/* SPDX-License-Identifier: MIT */
#include "vmm/process.h"

#include <string.h>

#include "tests/support/tests.h"

static struct process_table table;

static const struct target_process *add(
	uint64_t id, space_t space, const char *text)
{
	char name[TARGET_NAME_MAX] = { 0 };

	memcpy(name, text, strnlen(text, sizeof(name)));
	return vmm_process_add(&table, id, space, name, NULL);
}

static void ids_are_used_once(void **state)
{
	(void)state;
	vmm_process_init(&table);
	assert_null(add(0, 0x1000, "zero"));
	assert_non_null(add(7, 0x1000, "seven"));
	assert_null(add(7, 0x2000, "again"));
	vmm_process_end(&table, 7);
	assert_null(add(7, 0x2000, "after its end"));
	assert_string_equal(vmm_process_find(&table, 7)->name, "seven");
	assert_null(vmm_process_find(&table, 7 + PROCESS_BUCKETS));
	vmm_process_fini(&table);
}

static void space_belongs_to_its_present_owner(void **state)
{
	(void)state;
	vmm_process_init(&table);
	add(1, 0x5000, "old");
	assert_int_equal(vmm_process_of_space(&table, 0x5000)->id, 1);
	vmm_process_end(&table, 1);
	assert_null(vmm_process_of_space(&table, 0x5000));
	add(2, 0x5000, "new");
	assert_int_equal(vmm_process_of_space(&table, 0x5000)->id, 2);
	assert_null(vmm_process_of_space(
		&table, 0x5000 + PROCESS_BUCKETS * UINT64_C(4096)));
	vmm_process_fini(&table);
}

static void names_of_the_guest_are_cleaned(void **state)
{
	char full[TARGET_NAME_MAX];

	(void)state;
	vmm_process_init(&table);
	assert_string_equal(add(1, 0, "a\033[2J\n")->name, "a?[2J?");
	assert_string_equal(add(2, 0, "")->name, "?");
	memset(full, 'x', sizeof(full)); /* no NUL anywhere */
	assert_int_equal(
		strlen(vmm_process_add(&table, 3, 0, full, NULL)->name),
		TARGET_NAME_MAX - 1);
	vmm_process_fini(&table);
}

static void hostile_number_of_processes_is_bounded(void **state)
{
	unsigned added = 0;

	(void)state;
	vmm_process_init(&table);
	for (uint64_t id = 1; id < PROCESS_MAX + 100; id++)
		added += add(id, id << 12, "x") != NULL;
	assert_int_equal(added, PROCESS_MAX);
	vmm_process_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_used_once),
		cmocka_unit_test(space_belongs_to_its_present_owner),
		cmocka_unit_test(names_of_the_guest_are_cleaned),
		cmocka_unit_test(hostile_number_of_processes_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
