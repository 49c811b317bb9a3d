#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
expect_example examples/lost-update run --cpus 2 -s examples/lost-update/hold.lua \
	"$CUSTOS_BUILD/examples/lost-update/lost.elf"
if [ $code = 1 ]; then
	pass "an update is lost on every run"
else
	fail "an update is lost on every run" "$work/all"
fi
finish
