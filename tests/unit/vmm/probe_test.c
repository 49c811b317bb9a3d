/* SPDX-License-Identifier: MIT */
#include "vmm/probe.h"

#include <string.h>

#include "tests/support/tests.h"

static const struct probe_check *last(const struct probe *probe)
{
	return &probe->checks[probe->count - 1];
}

static void missing_device_fails_with_advice(void **state)
{
	struct probe probe;

	(void)state;
	vmm_probe("/nonexistent/kvm", &probe);
	assert_false(probe.usable);
	assert_string_equal(last(&probe)->name, "device");
	assert_int_equal(last(&probe)->status, PROBE_FAIL);
	assert_non_null(strstr(last(&probe)->detail, "/nonexistent/kvm"));
	assert_true(last(&probe)->advice[0]);
}

static void device_that_is_no_kvm_fails(void **state)
{
	struct probe probe;

	(void)state;
	vmm_probe("/dev/null", &probe);
	assert_false(probe.usable);
	assert_string_equal(last(&probe)->name, "device");
	assert_non_null(strstr(last(&probe)->detail, "not a KVM"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_device_fails_with_advice),
		cmocka_unit_test(device_that_is_no_kvm_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
