#!/bin/sh
# SPDX-License-Identifier: MIT
# Keepers in C: custos run --plugin.
. tests/support/script.sh
need_kvm
plugins=$CUSTOS_BUILD/tests/plugins
prog=$CUSTOS_BUILD/guest/counter.elf

run run -q --plugin "$plugins/tester.so:counter" "$prog" 3
expect "a plugin is asked and told" 0 "tester: asked 8, stepped 0, told 8"
run run -q --plugin "$plugins/tester.so:counter x stepped" "$prog" 3
expect "and steps" 0 "tester: asked 8, stepped 8, told 8"
run run -q --plugin "$plugins/tester.so:counter hold access" "$prog" 3
expect "and holds" 0 "tester: asked 8, stepped 0, told 8"
run run -q --plugin "$plugins/tester.so:counter grant access" "$prog" 3
expect "and grants" 0 "tester: asked 1, stepped 0, told 8"
run run -q --plugin "$plugins/tester.so:counter stop access" "$prog" 3
expect "and stops" 124 "stopped by the keeper of \`counter'"
run run -q --plugin "$plugins/tester.so:counter fail access" "$prog" 3
expect "its failures are told, the default applies" 0 \
	"tester: as it was told (in callback access); its default \`pass'"
run run -q --plugin "$plugins/tester.so:counter odd access" "$prog" 3
expect "and so is a wrong answer" 0 "it answered 77, which is no verdict"
run run -q --plugin "$plugins/tester.so:counter rollback access" "$prog" 3
expect "a step without anything to say goes on" 0 "asked 8, stepped 1"

run run --plugin "$plugins/tester.so:counter" --when store "$prog" 3
expect "conditions hold for plugins" 0 "tester: asked 3, stepped 0, told 8"
run run -q --watch counter --plugin "$plugins/tester.so:counter" "$prog" 3
expect "a range may have others, too" 0 "tester: asked 8" "watch: counter: 0x1"
run run -q --plugin "$plugins/passer.so:counter" \
	--plugin "$plugins/tester.so:counter" "$prog" 3
expect "and two plugins" 0 "tester: asked 8"

run run --json --plugin "$CUSTOS_BUILD/examples/plugin/keeper/bounds.so:level,0,100" \
	"$CUSTOS_BUILD/examples/plugin/tank.elf"
expect "findings are notes in JSON" 0 \
	'{"event":"bounds","text":"bounds: level would become -30 by tank.c:'
run run -q --plugin "$plugins/tester.so:nothing" "$prog"
expect "a wrong range is told" 125 "--plugin: range 'nothing': " "no symbol"
run run -q --plugin "$plugins/tester.so" "$prog"
expect "so is a missing argument" 125 "tester: no range was given"
run run -q --plugin "$plugins/none.so" "$prog"
expect "so is a missing file" 125 "there is no plugin $plugins/none.so"
run run -q --plugin "$plugins/wrong_version.so" "$prog"
expect "so is another version" 125 "built for version 2"
run run -q --plugin "$prog" "$prog"
expect "so is a file that is none" 125 "cannot be loaded"

run run -q --plugin "$plugins/tester.so:counter segv access" "$prog" 3
expect "a crash says who, where and at what" 125 \
	"plugin $plugins/tester.so crashed (SIGSEGV, a bad address 0x8) in callback access, at 0x" \
	"access 1: load of 8 bytes at counter+0 by counter.elf#1 at 0x"
for how in "fpe told" "abort stepped" "stack access" "service start"; do
	run run -q --plugin "$plugins/tester.so:counter $how" "$prog" 3
	expect "a crash: $how" 125 "crashed (SIG" "in callback ${how#* }"
done
finish
