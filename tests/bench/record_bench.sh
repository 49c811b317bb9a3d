#!/bin/sh
# SPDX-License-Identifier: MIT
# What recording adds to an access that a keeper passes: the best of some runs.
set -u
CUSTOS=${CUSTOS:-build/custos}
BUILD=${CUSTOS_BUILD:-build}
accesses=${ACCESSES:-40000}

if ! [ -w /dev/kvm ]; then
	echo "record: skipped, no /dev/kvm"
	exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'keep("word")' >"$dir/pass.lua"

# best OPTION...: seconds
best()
{
	"$CUSTOS" run "$@" -s "$dir/pass.lua" "$BUILD/guest/hammer.elf" load \
		"$accesses" 2>&1 >/dev/null |
		sed -n 's/^custos: exited.*after \([0-9.]*\) s$/\1/p'
}

for round in 1 2 3 4 5 6 7; do
	best >>"$dir/plain"
	best -r "$dir/trace" >>"$dir/recorded"
	best -r "$dir/trace" --regs --stacks >>"$dir/all"
done
for kind in plain recorded all; do
	sort -n "$dir/$kind" | head -n 1
done | tr '\n' ' ' | awk '{
	printf "record: %+.1f %% per access; with registers and stacks %+.1f %%\n",
		($2 / $1 - 1) * 100, ($3 / $1 - 1) * 100 }'
