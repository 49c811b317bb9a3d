#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
program=$CUSTOS_BUILD/examples/bit-rot/record.elf
run run --inject record:flip=20,seed=7 "$program"
expect "flipped bits make the program count wrong" 1 \
	"inject: 1. flip, load of record" "inject: record, seed 7:" \
	"sums are wrong"
grep '^inject:' "$work/err" >"$work/first"
run run --inject record:flip=20,seed=7 "$program"
grep '^inject:' "$work/err" >"$work/second"
if cmp -s "$work/first" "$work/second"; then
	pass "the same seed is the same run"
else
	fail "the same seed is the same run" "$work/first" "$work/second"
fi
run run --inject record:flip=20,seed=8 "$program"
grep '^inject:' "$work/err" >"$work/second"
if cmp -s "$work/first" "$work/second"; then
	fail "another seed is another run" "$work/second"
else
	pass "another seed is another run"
fi
run run --inject record:flip=20,stale=20,torn=20,delay=40,seed=7 "$program" \
	fixed
expect "the corrected program reads again" 0 "0 of 20 sums are wrong" \
	"stale, load of record" "torn, load of record" "flip, load of record" \
	"delay, load of record"
finish
