#!/bin/sh
# SPDX-License-Identifier: MIT
# Is the emulated machine what we take it for? A test on the wrong KVM would
# prove nothing about this one.
check() # WHAT COMMAND...
{
	what=$1
	shift
	if "$@" >/dev/null 2>&1; then
		echo "ok - $what"
	else
		echo "not ok - $what"
	fi
}
check "there is a /dev/kvm" test -c /dev/kvm
check "it is kvm-amd" test -d /sys/module/kvm_amd
check "with nested paging" grep -q '[Y1]' /sys/module/kvm_amd/parameters/npt
check "there are two processors" test -d /sys/devices/system/cpu/cpu1
check "tests know that it is slow" test "$CUSTOS_TEST_SCALE" = slow
