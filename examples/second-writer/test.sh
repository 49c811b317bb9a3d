#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
program=$CUSTOS_BUILD/examples/second-writer/writer.elf
run run --who counters.lost "$program"
expect "the second place that counts lost packets is named" 0 \
	"who: counters.lost, byte 0 to 7:" " 2 times, access" \
	"writer.elf#1 at repeat" "writer.elf#1 at lose"
run run --who counters.lost "$program" fixed
expect "the right one still is" 0 "writer.elf#1 at lose"
if grep -q "at repeat" "$work/err"; then
	fail "and nobody else in the corrected program" "$work/err"
else
	pass "and nobody else in the corrected program"
fi
finish
