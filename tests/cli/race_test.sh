#!/bin/sh
# SPDX-License-Identifier: MIT
# race and lockcheck: the accounts program's bugs are found, and nothing in its
# right versions.
. tests/support/script.sh
need_kvm
accounts=$CUSTOS_BUILD/guest/accounts.elf
data=balance+0+16 lock=guard+0+8 flag=flag+0+8

# silent WHAT ARGUMENTS...: custos says nothing
silent()
{
	what=$1
	shift
	run run -q --cpus 2 "$@"
	if [ $code = 0 ] && [ ! -s "$work/err" ]; then
		pass "$what"
	else
		fail "$what" "$work/out" "$work/err"
	fi
}

# finds WHAT TEXT ARGUMENTS...
finds()
{
	what=$1 text=$2
	shift 2
	run run -q --cpus 2 "$@"
	expect "$what" 0 "$text"
}

race="--race $data,sync=$lock,sync=$flag"
check="--lockcheck $lock:$data"

silent "race: a lock orders" $race "$accounts" lock 4
finds "race: a teller without the lock" "is not ordered with" \
	$race "$accounts" forgets 4
expect "race: with both stacks" 0 "by accounts.elf#2 on cpu 0, access" \
	"by accounts.elf#3 on cpu"
silent "race: a flag orders" $race "$accounts" flag
finds "race: a flag that is set too early" "is not ordered with" \
	$race "$accounts" early
silent "race: a message orders" $race "$accounts" message
finds "race: a message sent too early" "is not ordered with" \
	$race "$accounts" hasty
finds "race: a lock that was not declared does not order" \
	"is not ordered with" --race $data "$accounts" lock 4

silent "lockcheck: the lock is held" $check "$accounts" lock 4
finds "lockcheck: a teller without the lock" "without holding \`$lock'" \
	$check "$accounts" forgets 4
finds "lockcheck: a lock that is not taken atomically" \
	"is taken without an atomic instruction" $check "$accounts" sloppy 4
silent "lockcheck: messages instead of the lock" $check "$accounts" message
finds "race and lockcheck on one range" "race: $data" \
	--race $data,sync=$lock $check "$accounts" forgets 4
expect "race and lockcheck on one range: both speak" 0 "lockcheck: balance["

run run -q --race $data,sync=nothing "$accounts"
expect "race: a wrong word is told" 125 "--race" "nothing"
run run -q --lockcheck $lock "$accounts"
expect "lockcheck: a lock alone is refused" 125 "want LOCK:DATA"
finish
