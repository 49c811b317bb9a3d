#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
expect_example examples/ring-overflow run -s examples/ring-overflow/watch.lua \
	"$CUSTOS_BUILD/examples/ring-overflow/ring.elf"
if [ $code = 0 ]; then
	pass "with the bad stores absorbed the program succeeds"
else
	fail "with the bad stores absorbed the program succeeds" "$work/all"
fi
finish
