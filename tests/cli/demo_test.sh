#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make demo' runs, with a KVM here and without.
# timeout: 300
. tests/support/script.sh
line="examples/ring-overflow/ring.c:28:"

demo()
{
	CUSTOS_BUILD=$CUSTOS_BUILD sh examples/demo.sh >"$work/out" \
		2>"$work/err" </dev/null
	code=$?
}

if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	demo
	expect "the demo names the bad store" 0 "by ring_push+0x" "$line" \
		"limit 100, dropped 0 of 20 samples" "undone: 2 again"
else
	skip "the demo names the bad store" "no /dev/kvm"
fi

export CUSTOS_KVM="$work/none"
if [ "${CUSTOS_TEST_SCALE:-}" = slow ]; then
	skip "the demo without KVM" "inside the emulated machine already"
else
	demo
	if [ $code = 1 ] && grep -q "^skipped: " "$work/out"; then
		expect "the demo says what it lacks" 1 "There is no $work/none" \
			"tools/deps"
	else
		expect "the demo without KVM makes a machine with one" 0 \
			"There is no $work/none" "by ring_push+0x" "$line"
	fi
fi
finish
