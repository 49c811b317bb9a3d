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

# Addresses and registers are the compiler's business.
sameness='s/0x[0-9a-f]*/ADDRESS/g; s/\[r[a-z0-9]*\*4/[REGISTER*4/
	s/, [er][a-z0-9]*$/, REGISTER/'
sed "$sameness" README.md >"$dir/readme"

compare() # WHAT FILE: its lines follow each other in README.md
{
	sed "$sameness" "$2" >"$dir/want"
	if awk 'NR == FNR { want[++n] = $0; next }
		{ i = $0 == want[i + 1] ? i + 1 : $0 == want[1] }
		i == n { found = 1; exit } END { exit !found }' \
		"$dir/want" "$dir/readme"; then
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
