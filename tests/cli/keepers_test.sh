#!/bin/sh
# SPDX-License-Identifier: MIT
# Built-in keepers and conditions, as options of custos run.
set -u
CUSTOS=${CUSTOS:-build/custos}
BUILD=${CUSTOS_BUILD:-build}
number=0

if ! [ -w /dev/kvm ]; then
	echo "1..0 # skipped: no /dev/kvm"
	exit 77
fi

# verdict WHAT CONDITION...
verdict()
{
	what=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $what"
	else
		echo "not ok $number - $what"
		echo "$out" | sed 's/^/# /'
	fi
}

# count PATTERN WANT: so many lines of the output
count()
{
	[ "$(echo "$out" | grep -c -- "$1")" = "$2" ]
}

run()
{
	out=$("$CUSTOS" run "$@" "$BUILD/guest/counter.elf" 3 2>&1)
}

run -q --watch counter
verdict "watch tells each change" count '^watch: counter: 0x' 3
verdict "with both values, place and line" count \
	'^watch: counter: 0x1 -> 0x2 by counter.elf#1 at main+0x.* (counter.c:' 1
verdict "and accesses are not printed beside it" count 'mov' 0

run -q --log counter
verdict "log tells every access" count 'counter+0 8' 8

run -q --log counter --when 'load every=2'
verdict "a condition limits a built-in" count 'counter+0 8' 2

run -q -k counter --when 'store value>1'
verdict "a condition limits what is printed" count 'store ' 2
verdict "to that" count 'load ' 0

run -q -k counter --watch counter
verdict "a range has several keepers" count '^watch: ' 3
verdict "and is printed, too" count 'counter+0 8' 8

run --json --watch counter
verdict "findings are notes in JSON" count '^{"event":"watch","text":"watch: ' 3

run -q --when load -k counter
verdict "a condition without a range is refused" count 'comes behind the range' 1
run -q -k counter --when bogus
verdict "a wrong condition is named" count 'bogus. is not known' 1
run -q --watch nothing
verdict "a built-in's wrong range is told" count '^custos run: --watch: .*no symbol' 1
run -q --watch counter --watch counter+4+2
verdict "an overlap is told" count 'overlaps range' 1
