#!/bin/sh
# SPDX-License-Identifier: MIT
# Bytes with a keeper in the guest and one of the host: the guest's decides
# first, the host's sees what is then done to the frame, and can refuse it.
. tests/support/script.sh
need_kvm
watch=$CUSTOS_BUILD/examples/write-watch/watch.elf

run run --cpus 2 -k shared+8+8 "$watch"
expect "the guest's keeper is asked" 0 "8 bytes at 0x8: 5 -> 12" "taken back"
cat "$work/out" "$work/err" >"$work/both"
for seen in "store .*0x0 -> 0x5 " "load .*0x5 " "store .*0x5 -> 0xc " \
	"atomic rmw .*0xc -> 0x2a " "store .*0x2a -> 0x3 "; do
	grep -q "watch.elf#2.* $seen.*in worker" "$work/both" ||
		echo "not seen: $seen"
done >"$work/unseen"
if [ -s "$work/unseen" ]; then
	fail "the host's sees each access once it is allowed" "$work/unseen" \
		"$work/both"
else
	pass "the host's sees each access once it is allowed"
fi
expect "none is missed, a step taken back included" 0 \
	"accesses 5 (1 load, 3 store, 1 rmw)" "missed 0"

run run --cpus 2 --freeze shared+8+8 "$watch"
# and the guest's waits for a worker that is gone
expect "the host's can refuse" 123 "store to shared[1] denied (0x0 -> 0x5" \
	"accesses 1 (1 store)" "outcomes 1 deny" "missed 0"
finish
