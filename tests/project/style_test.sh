#!/bin/sh
# SPDX-License-Identifier: MIT
# What of HACKING.md a machine can check. 80 columns are the rule; a table row
# or an address may stick out, a habit may not; 70 lines are the rule for functions, and a
# switch of one-liners may be longer.
set -u
sources=$(find src include abi guest tests -name '*.[chS]' 2>/dev/null)
scripts=$(find tests examples tools .ci -type f \( -name '*.sh' -o -name run \
	-o -name deps -o -name init \) 2>/dev/null)

verdict() # WHAT FINDINGS
{
	if [ -z "$2" ]; then
		echo "ok - $1"
	else
		echo "$2" | head -n 20
		echo "not ok - $1"
	fi
}

verdict "every file says its licence" "$(for file in $sources $scripts; do
	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
		echo "$file: no SPDX line"
done)"

verdict "no line ends in blanks" "$(grep -nE '[[:blank:]]+$' $sources)"

verdict "lines fit into 100 columns" "$(for file in $sources; do
	expand "$file" | LC_ALL=C.UTF-8 awk -v f="$file" \
		'length($0) > 100 { print f ":" NR ": " length($0) " columns" }'
done)"

verdict "functions have at most 100 lines" "$(awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - start - 1 > 100)
			print FILENAME ":" start ": " FNR - start - 1 " lines"
		start = 0
	}' $(find src guest -name '*.c'))"

verdict "exported symbols carry their module's name" "$(
	for module in $(ls src); do
		words=$(sed -n "s/^$module: *//p" tools/prefixes.txt | tr ' ' '|')
		nm -A -g --defined-only "$CUSTOS_BUILD"/src/"$module"/*.o \
			2>/dev/null | awk -v words="^(${words:-none})(_|\$)" \
			'$3 !~ /^(__|_Z)/ && $3 !~ words { print $1 " " $3 }'
	done)"

verdict "headers are guarded by their path" "$(
	for header in $(find src -name '*.h'); do
		guard=CUSTOS_$(echo "${header#src/}" | tr 'a-z/.-' 'A-Z___')
		grep -q "^#define $guard\$" "$header" ||
			echo "$header: not $guard"
	done)"
