#!/bin/sh
# SPDX-License-Identifier: MIT
# custos run SYSTEM.lua: what is shown, what is refused; then examples, run.
. tests/support/script.sh
programs=$CUSTOS_BUILD/examples
pair="-m $programs/two-programs/writer.elf -m $programs/two-programs/reader.elf"

run run --dry-run $pair examples/two-programs/system.lua 5
expect "a dry run prints processes, mappings, rights, limits" 0 \
	"process writer: writer.elf 5 [examples/two-programs/system.lua:11]" \
	"0x10000000..0x10010000 rw- memory shared" \
	"0x20000000..0x20010000 r-- memory shared" \
	"cap ready: endpoint ready (send)" "recipient: process reader" \
	"bank small: 256 frames, at least"

run run --dry-run --json $pair examples/two-programs/system.lua
if ! command -v python3 >/dev/null; then
	skip "as JSON, too" "no python3"
elif [ $code = 0 ] && python3 -c '
import json, sys
system = json.load(open(sys.argv[1]))
kinds = {o["name"]: o["kind"] for o in system["objects"]}
assert kinds["writer"] == "process" and kinds["shared"] == "memory"
maps = [l for l in system["links"] if l["link"] == "map"]
assert [(m["from"], m["at"], m["rights"]) for m in maps] == [
	("writer", 0x10000000, "rw-"), ("reader", 0x20000000, "r--")]
' "$work/out" 2>"$work/why"; then
	pass "as JSON, too"
else
	fail "as JSON, too" "$work/why" "$work/out" "$work/err"
fi

run run --dot -o "$work/graph.dot" $pair examples/two-programs/system.lua
expect "the graph goes to a file" 0
if ! command -v dot >/dev/null; then
	skip "Graphviz takes the graph" "no dot"
elif dot -Tsvg "$work/graph.dot" -o "$work/graph.svg" 2>"$work/why" &&
	[ ! -s "$work/why" ] && grep -q 'writer.elf 1000' "$work/graph.svg"; then
	pass "Graphviz takes the graph"
else
	fail "Graphviz takes the graph" "$work/why" "$work/graph.dot"
fi

cat >"$work/wrong.lua" <<'END'
memory{ "a", size = "4K" }

proces{ "p", program = "p.elf" }
END
run run "$work/wrong.lua"
expect "a wrong word is told with its line" 126 \
	"wrong.lua:3: unknown word 'proces'; did you mean 'process'?"
echo 'process{ "p", program = "none.elf" }' >"$work/none.lua"
run run "$work/none.lua"
expect "a program that is not there" 127 "none.lua:1: program \`none.elf'"
run run --dry-run $pair -m "$programs/served-page/client.elf" \
	examples/two-programs/system.lua
expect "a module that no process is made of" 126 \
	"names no program \`client.elf'"
run run "$work/missing.lua"
expect "a description that is not there" 127 "cannot open"
run run --dry-run "$CUSTOS_BUILD/guest/hello.elf"
expect "only a system can be shown" 125 "--dry-run wants a system description"

if [ ! -w /dev/kvm ]; then
	skip "systems run" "no /dev/kvm"
	finish
	exit 0
fi
cp "$CUSTOS_BUILD"/guest/hello.elf "$CUSTOS_BUILD"/guest/counter.elf "$work"
cat >"$work/codes.lua" <<'END'
process{ "one", program = "hello.elf", caps = { "console" } }
process{ "two", program = "counter.elf", args = { 7 }, caps = { "console" } }
END
run run "$work/codes.lua"
expect "ends are told" 0 "system: one ended with 0" \
	"system: two ended with 0" "counter = 7"
run run -q "$work/codes.lua"
if grep -q system: "$work/out"; then
	fail "-q: they are not" "$work/out"
else
	pass "-q: they are not"
fi
run run -k 'counter.elf!counter' "$work/codes.lua"
expect "ranges are kept in a system's programs" 0 "missed 0" "rmw"
run run -r "$work/trace" -k "counter.elf!counter" "$work/codes.lua"
run trace info "$work/trace"
expect "a recording knows the system's programs" 0 \
	"program hello.elf $work/hello.elf" "(unchanged)" \
	"program counter.elf $work/counter.elf"
cat >"$work/limit.lua" <<'END'
local small = bank{ "small", limit = 27 }
process{ "one", program = "hello.elf", bank = small }
END
run run "$work/limit.lua"
expect "what the guest refuses is told with its line" 125 \
	"limit.lua:2: make \`one': LIMIT"
finish
