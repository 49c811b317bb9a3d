#!/bin/sh
# SPDX-License-Identifier: MIT
# Built-in keepers and conditions, as options of custos run.
. tests/support/script.sh
need_kvm
guest=$CUSTOS_BUILD/guest

# counter CUSTOS-RUN-OPTIONS...: of a program that counts to three
counter()
{
	out=$("$CUSTOS" run "$@" "$guest/counter.elf" 3 2>&1)
}

counter -q --watch counter
verdict "watch tells each change" count '^watch: counter: 0x' 3
verdict "with both values, place and line" count \
	'^watch: counter: 0x1 -> 0x2 by counter.elf#1 at main+0x.* (counter.c:' 1
verdict "and accesses are not printed beside it" count 'mov' 0

counter -q --log counter
verdict "log tells every access" count 'counter+0 8' 8

counter -q --log counter --when 'load every=2'
verdict "a condition limits a built-in" count 'counter+0 8' 2

counter -q -k counter --when 'store value>1'
verdict "a condition limits what is printed" count 'store ' 2
verdict "to that" count 'load ' 0

counter -q -k counter --watch counter
verdict "a range has several keepers" count '^watch: ' 3
verdict "and is printed, too" count 'counter+0 8' 8

counter --json --watch counter
verdict "findings are notes in JSON" count '^{"event":"watch","text":"watch: ' 3

# ---- with a script on the same range ----
script=$work/script.lua
cat >"$script" <<'EOF'
keep "counter"
local asked = 0
function load(a) asked = asked + 1 end
function store(a) asked = asked + 1 return absorb end
rmw = store
function finish() print("script: asked " .. asked) end
EOF
counter -q --freeze counter,pass --who counter -s "$script"
verdict "freeze tells what a script absorbs" count '^freeze: store to counter' 1
verdict "which it does" count '^counter = 0$' 1
verdict "and who tells of it" count '    store 3 times, access' 1
verdict "and the script was asked about every access" count \
	'^script: asked 8$' 1
counter -q --freeze counter -s "$script"
verdict "what freeze denies the script is not asked about" count \
	'^script: asked 1$' 1
counter -q --uninit counter -s "$script"
verdict "uninit knows that nothing was stored" count \
	'^uninit: counter: [0-9]* loads of bytes never stored' 1
counter -q --inject counter:flip=1,max=2 -s "$script"
verdict "what inject serves the script is not asked about" count \
	'^script: asked 6$' 1
counter --json --freeze counter,pass -s "$script"
verdict "its findings are notes" count '^{"event":"freeze","text":"freeze: ' 2

counter -q --guard counter -k counter
verdict "an object that is guarded can be kept, too" count 'counter+0 8' 8
verdict "and has no bugs" count '^guard:' 0

counter -q --when load -k counter
verdict "a condition without a range is refused" count 'comes behind the range' 1
counter -q -k counter --when bogus
verdict "a wrong condition is named" count 'bogus. is not known' 1
counter -q --watch nothing
verdict "a built-in's wrong range is told" count '^custos run: --watch: .*no symbol' 1
counter -q --watch counter --watch counter+4+2
verdict "an overlap is told" count 'overlaps range' 1

out=$("$CUSTOS" run -q -k word --rep run "$guest/hammer.elf" fill 3 2>&1)
verdict "a rep form is one access a run, if asked" count 'word+0 4096' 3
out=$("$CUSTOS" run -k word "$guest/hammer.elf" fill 1 2>&1)
verdict "and else one an element" count '^accesses  *512 ' 1
out=$("$CUSTOS" run -q -k word --rep all "$guest/hammer.elf" fill 1 2>&1)
verdict "there is nothing else" count 'is not run or element' 1
