#!/bin/sh
# SPDX-License-Identifier: MIT
# Whatever people get wrong: a clear sentence and an exit code, never a crash.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
prog=$CUSTOS_BUILD/guest/counter.elf

# WHAT EXIT-CODE PATTERN ARGUMENTS-OF-RUN...
refused()
{
	what=$1 code=$2 pattern=$3
	shift 3
	"$CUSTOS" run "$@" >"$dir/out" 2>"$dir/err"
	verdict "$what" "$code" $? "$pattern"
}

verdict() # WHAT EXPECTED-CODE CODE PATTERN
{
	if [ "$2" -eq "$3" ] && grep -qE -- "$4" "$dir/err" &&
		! grep -qE 'Sanitizer|runtime error|invariant' "$dir/err"; then
		echo "ok - $1"
	else
		cat "$dir/err"
		echo "not ok - $1: exit code $3, not $2 with '$4'"
	fi
}

# ---- programs ----
printf '\177ELF\001\001\001 and more' >"$dir/32.elf"
dd if="$prog" of="$dir/short.elf" bs=1000 count=3 2>/dev/null
: >"$dir/empty.elf"
mkdir "$dir/folder"
refused "no such program" 127 "$dir/none.elf: No such file" "$dir/none.elf"
refused "truncated" 126 "short.elf: truncated" "$dir/short.elf"
refused "32-bit" 126 'a 32-bit program' "$dir/32.elf"
refused "not an ELF file" 126 'not an ELF file' tests/tests.mk
refused "empty" 126 'not an ELF file' "$dir/empty.elf"
refused "a directory" 126 'is a directory' "$dir/folder"
refused "a Linux program" 126 'link it with -static|dynamically' "$CUSTOS"
refused "no program" 125 'no program was named'

# ---- ranges ----
refused "unknown symbol" 125 "no symbol 'countr'; did you mean: counter" \
	-k countr "$prog"
refused "unknown program" 125 'there are: counter.elf' -k no!counter "$prog"
refused "overlapping ranges" 125 "overlaps range 'counter'" \
	-k counter -k counter+4+8 "$prog"
refused "empty range" 125 'is empty' -k counter+0+0 "$prog"
refused "empty text" 125 'missing' -k '' "$prog"
refused "range that ends before it starts" 125 'ends before' \
	-k 0x20..0x10 "$prog"
for range in 0xffffffffffffff00+0x200 0x403000+0xffffffffffffffff \
	0xfffffffffffffffffff+1 counter+0xffffffffffffffff+8; do
	refused "range that wraps: $range" 125 'range' -k "$range" "$prog"
done

# ---- scripts ----
echo 'function store(' >"$dir/syntax.lua"
echo 'error("boo")' >"$dir/throws.lua"
echo 'while true do end' >"$dir/loops.lua"
refused "script with a syntax error" 125 'syntax.lua:[0-9]+: ' \
	-s "$dir/syntax.lua" -k counter "$prog"
refused "script that throws at once" 125 'throws.lua:1: boo' \
	-s "$dir/throws.lua" -k counter "$prog"
refused "script that loops at once" 125 'loops.lua:1: .*longer than' \
	-s "$dir/loops.lua" -k counter "$prog"
printf '\033Lua compiled' >"$dir/code.lua"
refused "bytecode" 125 'code.lua: .*binary chunk' \
	-s "$dir/code.lua" -k counter "$prog"
refused "no such script" 125 'none.lua: No such file' \
	-s "$dir/none.lua" -k counter "$prog"

# ---- numbers and options ----
for memory in 1K 0 -1 x 64X 999999999999G 18446744073709551615G; do
	refused "--memory $memory" 125 'memory' --memory "$memory" "$prog"
done
for cpus in 0 17 -1 x '' 4294967297; do
	refused "--cpus '$cpus'" 125 'from 1 to 16' --cpus "$cpus" "$prog"
done
refused "--default maybe" 125 'pass or deny' --default maybe "$prog"
refused "an unknown option" 125 "unrecognized option '--nope'" --nope "$prog"
refused "an unknown kernel" 127 'none' --kernel "$dir/none" "$prog"

"$CUSTOS" fly >"$dir/out" 2>"$dir/err"
verdict "an unknown command" 127 $? "no command .fly'"
"$CUSTOS" >"$dir/out" 2>"$dir/err"
code=$?
cat "$dir/out" >>"$dir/err"
verdict "no command" 125 $code 'Usage: custos COMMAND'

# ---- what needs a machine that runs ----
if [ ! -w /dev/kvm ]; then
	refused "no /dev/kvm" 125 '/dev/kvm .*custos doctor' "$prog"
	echo "# skipped: no /dev/kvm"
	echo "ok - the rest # SKIP"
	exit
fi
refused "a program over the kernel" 125 'overlaps the kernel' \
	"$CUSTOS_BUILD/guest/kernel.elf"
refused "disk full on -o" 125 'No space left on device; [0-9]+ lines lost' \
	-o /dev/full -k counter "$prog"
refused "no such folder on -o" 125 'No such file' \
	-o "$dir/none/trace" -k counter "$prog"

"$CUSTOS" run "$prog" >/dev/full 2>"$dir/err"
verdict "disk full on stdout" 125 $? 'No space left on device'
"$CUSTOS" run "$prog" >&- 2>"$dir/err"
verdict "stdout closed" 125 $? 'Bad file descriptor'
{
	sleep 1
	"$CUSTOS" run "$prog" 2>"$dir/err"
	echo $? >"$dir/code"
} | :
verdict "closed pipe on stdout" 125 "$(cat "$dir/code")" 'Broken pipe'

# A failing script does not kill the guest.
echo 'function store(a) error("boo") end' >"$dir/store.lua"
refused "a callback that throws" 0 'store.lua:1: boo .in callback store' \
	-s "$dir/store.lua" -k counter "$prog" 3
echo 'function store(a) while true do end end' >"$dir/store.lua"
refused "a callback that loops" 0 'store.lua:1: ran longer than 20 ms' \
	--budget 20 -s "$dir/store.lua" -k counter "$prog" 3
echo 'function load(a) return serve({}) end' >"$dir/store.lua"
refused "an answer that makes no sense" 0 'store.lua.*in callback load' \
	-s "$dir/store.lua" -k counter "$prog" 3
echo 'function load(a) io.write("x") end' >"$dir/store.lua"
refused "a script that wants files" 0 "global 'io'" \
	-s "$dir/store.lua" -k counter "$prog" 3
