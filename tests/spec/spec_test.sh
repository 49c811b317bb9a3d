#!/bin/sh
# SPDX-License-Identifier: MIT
# What keepers and banks must do, row by row: the row, what size it was tried
# at, the result. The programs' comments have the statements. Sizes are smaller
# where the KVM emulates the kernel's code, as on this machine perhaps, than in
# the machine of make check-svm, where it does not; SPEC_FULL=1 takes those that
# the statements name.
# Usage: spec_test.sh [ROW...]
# timeout: 900
. tests/support/script.sh
need_kvm
rows=" $* "
svm=${CUSTOS_TEST_SCALE:-}

# row NAME CPUS SIZE SVM-SIZE FULL-SIZE [CUSTOS-OPTION...]
row()
{
	name=$1 cpus=$2 size=$3
	[ "$svm" = slow ] && size=$4
	[ -n "${SPEC_FULL:-}" ] && size=$5
	full=$5
	shift 5
	case $rows in "  " | *" $name "*) ;; *) return ;; esac
	program=$(printf 'f%02d' "${name#F}")
	start=$(date +%s)
	limit=${SPEC_LIMIT:-300} run run -q --memory 64M --cpus "$cpus" "$@" \
		"$CUSTOS_BUILD/tests/spec/$program.elf" "$size"
	took=$(($(date +%s) - start))
	tried=$(sed -n 's/^size: //p' "$work/out" | tr '\n' ';')
	said="$name on $cpus CPUs, ${took} s: ${tried%;}"
	[ "$size" = "$full" ] || said="$said (the row: $full)"
	if [ "$code" = 0 ] && grep -q '^result: ok$' "$work/out"; then
		pass "$said"
	else
		echo "exit code $code" >"$work/why"
		head -n 40 "$work/out" >"$work/out.head"
		tail -n 20 "$work/err" >"$work/err.tail"
		fail "$said" "$work/why" "$work/out.head" "$work/err.tail"
	fi
}

row F1 2 100 100 100
row F2 2 1 1 1
row F3 4 100 300 100000
row F4 2 100 1000 1000
row F5 4 60 200 1000000
row F6 4 2 3 3
row F7 2 200 1000 1000
row F8 2 5 5 5
row F9 2 1 1 1
row F10 2 10 10 10
row F11 1 1000 2000 2000
row F12 2 100 2000 10000
row F13 2 0 0 0
row F13 2 1 1 1 --no-table-sharing
row F14 2 5 5 5
row F15 2 320 1000 1000
row F16 2 10 10 10
row F20 2 300 10000 10000
finish
