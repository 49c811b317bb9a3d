#!/bin/sh
# SPDX-License-Identifier: MIT
# With --virtual-time and one CPU every run of three processes is the same,
# kept or not.
# timeout: 300
. tests/support/script.sh
guest=$CUSTOS_BUILD/guest

need_kvm

runs=20
[ "${CUSTOS_TEST_SCALE:-}" = slow ] && runs=4

same() # WHAT OPTIONS...
{
	what=$1
	shift
	for n in $(seq $runs); do
		"$CUSTOS" run -q --virtual-time "$@" || echo "failed: $?"
	done 2>"$work/err" | sort | uniq -c >"$work/out"
	if [ "$(wc -l <"$work/out")" = 1 ] &&
		grep -q "^ *$runs 60 entries\|^ *$runs 120 entries" "$work/out"
	then
		pass "$what"
	else
		fail "$what" "$work/out" "$work/err"
	fi
}

same "the same every time" "$guest/interleave.elf"
cp "$work/out" "$work/free"
same "and when every access is kept" -k log -o /dev/null "$guest/interleave.elf"
if cmp -s "$work/out" "$work/free"; then
	pass "which changes nothing"
else
	fail "which changes nothing" "$work/out" "$work/free"
fi
case $("$CUSTOS" doctor 2>&1) in
*"kind: pvm"*)
	skip "RDTSC shows virtual time" "this KVM does not trap it" ;;
*)
	same "RDTSC shows virtual time" "$guest/interleave.elf" tsc
	same "and RDTSCP" "$guest/interleave.elf" tscp ;;
esac
finish
