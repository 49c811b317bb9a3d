#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
driver=$CUSTOS_BUILD/examples/registers/driver.elf
device="--device chip=examples/registers/chip.regs"

# What happens, without who and where and by which kind of instruction, which
# is the compiler's.
run run $device "$driver" careless
sed -n 's/ by driver.*//; /misuse/s/, [a-z]*$//; /^device:/p' "$work/err" >"$work/seen"
if diff -u examples/registers/expected "$work/seen" >"$work/why"; then
	pass "the careless driver does what its README says"
else
	fail "the careless driver does what its README says" "$work/why"
fi
expect "each misuse is told with its place" 0 "is read-only, store by driver" \
	"driver.c:" "expired, left 1000, event 1" "missed 0"
run run -q $device "$driver"
expect "the right driver does the same" 0 "CONTROL.ENABLE 0->1" \
	"EVENT.EXPIRED 1->0" "expired, left 1000, event 0"
if grep -q misuse "$work/err"; then
	fail "the right driver misuses nothing" "$work/err"
else
	pass "the right driver misuses nothing"
fi
finish
