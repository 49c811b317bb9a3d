#!/bin/sh
# SPDX-License-Identifier: MIT
# custos trace: questions to recorded runs. What is right is worked out from
# the JSON lines that the same run printed.
. "${0%/*}/../support/script.sh"
need_kvm
guest=$CUSTOS_BUILD/guest
trace=$work/run.trace lines=$work/run.json

# same WHAT FILE FILE
same()
{
	if cmp -s "$2" "$3"; then
		pass "$1"
	else
		diff "$2" "$3" | head -n 10 >"$work/why"
		fail "$1" "$work/why"
	fi
}

# equal WHAT GOT WANTED
equal()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		echo "got $2, wanted $3" >"$work/why"
		fail "$1" "$work/why"
	fi
}

# key NAME: its values in the JSON lines of standard input, one a line
key()
{
	sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'
}

# ---- two processes that share a counter, on two CPUs ----
run run --cpus 2 -r "$trace" --stacks --json -o "$lines" -k shared \
	"$guest/shared_counter.elf" 300
expect "a run is recorded" 0 'shared = '
grep '"event":"access"' "$lines" >"$work/accesses"

run trace print --json "$trace"
grep '"event":"access"' "$work/out" >"$work/printed"
same "print --json prints what the run printed" "$work/accesses" \
	"$work/printed"
run trace print "$trace" --when 'store value>290' --from 100
grep '"kind":"store"' "$work/accesses" | while read -r line; do
	seq=$(printf '%s\n' "$line" | key seq)
	value=$(printf '%s\n' "$line" | key final)
	[ "$seq" -ge 100 ] && [ $((value)) -gt 290 ] && echo "$seq"
done >"$work/wanted"
awk '{ print $1 }' "$work/out" >"$work/got"
same "print selects by kind, value and number" "$work/wanted" "$work/got"
run trace print --process 2 --csv "$trace"
equal "print selects by process" "$(tail -n +2 "$work/out" | wc -l)" \
	"$(grep -c '"pid":2,' "$work/accesses")"
from=$(tail -n +2 "$work/out" | sed -n '50{s/^[0-9]*,//;s/,.*//;p;}')
tail -n +2 "$work/out" | awk -F, -v from="$from" '$2 >= from' |
	cut -d, -f1 >"$work/wanted"
run trace print --process 2 --csv --from "${from}ns" "$trace"
tail -n +2 "$work/out" | cut -d, -f1 >"$work/got"
same "print selects by time" "$work/wanted" "$work/got"

wrong=
for at in 10 11 50 333 777 1000 1201; do
	awk -v at=$at '{ match($0, /"seq":[0-9]+/)
		seq = substr($0, RSTART + 6, RLENGTH - 6) + 0 }
		/"kind":"store"/ && seq <= at { line = $0 }
		END { print line }' "$work/accesses" >"$work/last"
	run trace who shared --at $at --json "$trace"
	key seq <"$work/out" | sort -n | tail -n 1 >"$work/got"
	key seq <"$work/last" >"$work/wanted"
	cmp -s "$work/got" "$work/wanted" || wrong="$wrong who@$at"
	run trace memory shared+0+8 --at $at "$trace"
	value=$(awk '{ v = ""; for (i = 9; i > 1; i--) v = v $i; print v }' \
		"$work/out")
	[ $((0x$value)) = $(($(key final <"$work/last"))) ] ||
		wrong="$wrong memory@$at"
done
equal "who and memory are right at every moment" "$wrong" ""
run trace who shared "$trace"
expect "who tells the stack" 0 ' from 0x'
run trace history --json shared "$trace"
grep '"event":"store"' "$work/out" | key seq >"$work/got"
grep '"kind":"store"' "$work/accesses" | key seq >"$work/wanted"
same "history has every store" "$work/wanted" "$work/got"
run trace report --json "$trace"
for kind in load store; do
	equal "report counts each $kind" \
		"$(tr '{' '\n' <"$work/out" | key $kind | head -n 1)" \
		"$(grep -c '"kind":"'$kind'"' "$work/accesses")"
done
run trace report "$trace"
expect "report sees that the line is shared" 0 'shared: true sharing' \
	"$(wc -l <"$work/accesses") accesses:"
run trace check "$trace"
expect "check finds it whole" 0 ', whole'
run trace info "$trace"
expect "info tells what it is about" 0 "range shared" "complete yes" \
	"accesses $(wc -l <"$work/accesses"), "

# ---- parts, and the parts together ----
wrong=
for at in 5 400 901; do
	run trace cut --to $((at - 1)) "$trace" "$work/one"
	run trace cut --from $at "$trace" "$work/two"
	run trace merge "$work/all" "$work/two" "$work/one"
	run trace print "$trace"
	mv "$work/out" "$work/wanted"
	run trace print "$work/all"
	cmp -s "$work/out" "$work/wanted" || wrong="$wrong $at"
	run trace check -q "$work/all"
	[ $code = 0 ] || wrong="$wrong check@$at"
	for moment in $at $((at + 7)) 1200; do
		run trace memory shared --at $moment "$trace"
		mv "$work/out" "$work/wanted"
		run trace memory shared --at $moment "$work/two"
		cmp -s "$work/out" "$work/wanted" ||
			wrong="$wrong memory@$moment of $at"
	done
done
equal "a trace cut in two and merged is the same again" "$wrong" ""
run trace cut "$trace" "$trace"
expect "a trace is not written over itself" 125 'over itself'

# ---- two runs ----
for n in 5 8; do
	run run -q -r "$work/$n" -k counter "$guest/counter.elf" $n
	run run -q -r "$work/$n.again" -k counter "$guest/counter.elf" $n
done
run trace diff "$work/5" "$work/5.again"
expect "two equal runs" 0 '12 accesses are the same, 0 only' \
	'0 with other values'
run trace diff "$work/5" "$work/8"
expect "where two runs part" 1 'the first 10 accesses are the same' \
	'10 accesses are the same, 0 only' '6 only in' '2 with other values'
run trace diff --first "$work/5" "$work/8"
equal "only the first difference" "$(grep -c '^[<>!]' "$work/out")" 1
run trace diff --process nobody "$work/5" "$work/8"
expect "diff of a process there is not" 125 'there is no process'
cat >"$work/serve.lua" <<'END'
keep{"counter", load = function(a)
	if a.seq == 5 then return serve(70) end
end}
END
run run -q -r "$work/served" -s "$work/serve.lua" "$guest/counter.elf" 5
run trace diff --first "$work/5" "$work/served"
expect "one altered value is found at its number" 1 '!< 5 [' '!> 5 [' '0x46'
run trace merge "$work/both" "$work/5" "$work/8"
run trace info "$work/both"
expect "two runs side by side" 0 'accesses 30, #1 to #30' \
	'process counter.elf#1' 'process counter.elf#2'

# ---- where values came from ----
run run -q -r "$work/copies" -k source -k destination "$guest/copies.elf"
run trace origin destination "$work/copies"
expect "origin follows a copy between processes" 0 'ipc_dst destination' \
	'copy: the kernel copied these bytes from source' \
	'source: nobody has stored there before; from the start 68656c6c6f'
run trace origin counter --at 4 "$work/5"
expect "origin says what it only infers" 0 'computed, likely from' \
	'counter: nobody has stored there before; from the start 0x0'
run trace who counter --at 1 "$work/5"
expect "nobody has stored there yet" 1 'nobody has stored there' \
	'from the start 0x0'

# ---- what is wrong ----
run trace who nothing "$work/5"
expect "an unknown place: those there are" 125 '`nothing' 'counter (0x'
run trace memory 0x10 "$work/5"
expect "an address that is not kept" 125 'names no kept bytes'
run trace who counter --at 999 "$work/5"
expect "a moment beyond the end" 125 'access 999 is beyond the end of' \
	'are 1 to 12'
run trace who counter --at 99s "$work/5"
expect "a time beyond the end" 125 'beyond the end'
run trace who counter --at soon "$work/5"
expect "no moment at all" 125 'is no moment'
run trace print --when value "$work/5"
expect "a condition that is none" 125 'condition'
run trace print --process shared_counter.elf "$trace"
expect "a name of several processes" 125 'by its number' 'shared_counter.elf#2'
echo "this is not a trace, but a text of some length" >"$work/text"
for verb in info check print report; do
	run trace $verb "$work/text"
	expect "$verb of what is no trace" 125 'is not a trace'
done
run trace info "$work/none"
expect "a file that is not there" 125 'No such file'
run trace dance "$work/5"
expect "an unknown verb" 125 'there is no verb `dance'
run trace print
expect "no trace named" 125 'name one trace' 'custos trace print --help'
head -c $(($(wc -c <"$trace") * 2 / 3)) "$trace" >"$work/torn"
run trace check "$work/torn"
expect "check of a torn trace" 1 'not whole'
head -c -30 "$trace" >"$work/torn"
run trace print "$work/torn"
expect "a torn trace is read as far as it goes" 0 'custos trace print:' \
	'1 [shared_counter.elf#'
# A byte that is another one: whoever comes by says so. Some bytes are of what
# is only looked up; one of these is of what is read from end to end.
size=$(wc -c <"$trace")
flip() # OFFSET
{
	head -c "$1" "$trace"
	tail -c +$(($1 + 1)) "$trace" | head -c 1 |
		tr '\000-\377' '\001-\377\000'
	tail -c +$(($1 + 2)) "$trace"
}
for part in $(seq 1 31); do
	flip $((size * part / 32)) >"$work/flipped"
	run trace print "$work/flipped"
	cat "$work/out" "$work/err" | grep -q "flipped: chunk" && break
done
for verb in print report 'export csv' 'plot'; do
	run trace $verb "$work/flipped"
	case $verb in
	export*) want=1 ;;
	*) want=0 ;;
	esac
	expect "$verb of a damaged trace says so" $want "$work/flipped: chunk"
done
run trace who shared --at 10 "$work/torn"
expect "and can be asked" 0 'last stored'

# ---- ^C: the reader of its output asks for it when it has seen a line ----
mkfifo "$work/pipe"
sh -c 'echo $$ >"$2/pid"; exec "$1" trace print "$2/run.trace"' sh "$CUSTOS" \
	"$work" >"$work/pipe" 2>"$work/err" &
job=$!
exec 3<"$work/pipe"
read -r line <&3
kill -INT "$(cat "$work/pid")"
cat <&3 >"$work/out"
exec 3<&-
wait $job
code=$?
expect "an interrupted print ends in order" 130 'interrupted after access'
finish
