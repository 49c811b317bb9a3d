#!/bin/sh
# SPDX-License-Identifier: MIT
# share and device as options.
. tests/support/script.sh
need_kvm
accounts=$CUSTOS_BUILD/guest/accounts.elf
data=balance+0+16

run run -q --cpus 2 --share $data,mode=rw "$accounts" message
expect "share: handed on by a message" 0 \
	"share: $data: its writer was #1 and is now accounts.elf#2 at fill" \
	"share: 1 transfers, 0 of them back"
if grep -q denied "$work/err"; then
	fail "share: and denied to nobody" "$work/err"
else
	pass "share: and denied to nobody"
fi
run run -q --cpus 2 --share $data,mode=rw "$accounts" hasty
expect "share: a reader or a writer out of turn is denied" 2 \
	"has handed it on: denied" "accounts.elf: page fault"
run run -q --cpus 2 --share $data,mode=rw,pass "$accounts" hasty
expect "share: pass only tells" 0 "has handed it on"
run run -q --cpus 2 --share $data "$accounts" hasty
expect "share: readers are free without mode=rw" 0 "share: 1 transfers"
run run -q --cpus 2 --share $data "$accounts" forgets 4
expect "share: two writers at once" 2 "before its writer #"
run run -q --cpus 2 --share $data,mode=rw,sync=guard+0+8 "$accounts" lock 4
expect "share: handed on by a lock" 0 "and is now accounts.elf#2" \
	"and is now accounts.elf#3"
if grep -q 'handed it on' "$work/err"; then
	fail "share: and denied to nobody who holds it" "$work/err"
else
	pass "share: and denied to nobody who holds it"
fi
run run -q --share $data,mode=wr "$accounts"
expect "share: a wrong word is named" 125 "\`mode=wr' is not known"

printf 'register A 0 4\nregister B 2 4\n' >"$work/regs"
run run -q --device "chip=$work/regs" "$accounts"
expect "device: a wrong table is refused with its line" 125 \
	"regs:2: B overlaps A"
run run -q --device "chip=$work/none" "$accounts"
expect "device: a table that is not there" 125 "cannot open"
run run -q --device chip "$accounts"
expect "device: an argument without a file" 125 "want NAME=FILE"
finish
