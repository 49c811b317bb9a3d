#!/bin/sh
# SPDX-License-Identifier: MIT
# The session that README.md opens with is a real one.
set -u
if [ ! -w /dev/kvm ]; then
	echo "skipped: no /dev/kvm"
	exit 77
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
example=examples/ring-overflow

compare() # WHAT FILE: its lines follow each other in README.md
{
	if awk 'NR == FNR { want[++n] = $0; next }
		{ i = $0 == want[i + 1] ? i + 1 : $0 == want[1] }
		i == n { found = 1; exit } END { exit !found }' \
		"$2" README.md; then
		echo "ok - $1"
	else
		cat "$2"
		echo "not ok - $1"
	fi
}

"$CUSTOS" run -q "$CUSTOS_BUILD/$example/ring.elf" >"$dir/bare"
compare "the program alone" "$dir/bare"
compare "the script" $example/watch.lua
"$CUSTOS" run -q -s $example/watch.lua "$CUSTOS_BUILD/$example/ring.elf" \
	2>&1 >"$dir/guest" | sed '$d' >"$dir/script"
compare "what the script says" "$dir/script"
compare "what the program says then" "$dir/guest"
