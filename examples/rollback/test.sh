#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
expect_example examples/rollback run -s examples/rollback/step.lua \
	"$CUSTOS_BUILD/examples/rollback/count.elf"
if [ $code = 0 ]; then
	pass "the increment rolled back is not lost"
else
	fail "the increment rolled back is not lost" "$work/all"
fi
finish
