#!/bin/sh
# SPDX-License-Identifier: MIT
# make demo: the main job on an example, here, or where there is no usable KVM
# inside an emulated machine that has one.
set -u
build=${CUSTOS_BUILD:-build}
kvm=${CUSTOS_KVM:-/dev/kvm}

# Show a command as users would type it; run it; its code must be $1.
run() # CODE CUSTOS-ARGUMENTS...
{
	want=$1
	shift
	echo
	echo "\$ custos $*" | sed "s,$build/,build/,g"
	"$build/custos" "$@" 2>&1
	code=$?
	[ $code = "$want" ] && return
	echo "demo: exit code $code, not $want" >&2
	exit 1
}

heading()
{
	echo
	echo "== $*"
}

demo()
{
	ring=examples/ring-overflow
	heading "A program has a limit of 100. Something changes it:"
	run 1 run -q "$build/$ring/ring.elf"
	heading "The same, the limit kept, a script asked about each access" \
		"($ring/watch.lua):"
	run 0 run -s "$ring/watch.lua" "$build/$ring/ring.elf"
	heading "The line it names:"
	echo
	grep -n 'bad store' "$ring/ring.c" | sed "s,^,$ring/ring.c:,"
	heading "Every increment executed, looked at, one undone" \
		"(examples/rollback/step.lua):"
	run 0 run -q -s examples/rollback/step.lua \
		"$build/examples/rollback/count.elf"
	echo
	echo "More in examples/: a lost update, a device in Lua."
}

if [ -r "$kvm" ] && [ -w "$kvm" ]; then
	demo
	exit
fi
if [ -e "$kvm" ]; then
	echo "No permission to use $kvm (usually: sudo usermod -aG kvm $(id -un)," \
		"then log in again)."
else
	echo "There is no $kvm on this machine."
fi
echo "The same demo in a machine that QEMU emulates, with a KVM inside;" \
	"a minute, please."
tests/svm/run -b "$build" command 'CUSTOS_BUILD=build sh examples/demo.sh'
code=$?
[ $code = 77 ] && echo "demo: QEMU or a kernel is missing: tools/deps --test" &&
	exit 1
exit $code
