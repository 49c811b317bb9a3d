#!/bin/sh
# SPDX-License-Identifier: MIT
# What the guest's kernel offers is in docs/GUEST.md, and nothing else is.
set -u
page=docs/GUEST.md
names=$(mktemp) || exit 1
trap 'rm -f "$names"' EXIT

check() # WHAT: names that must have a row
{
	while read -r name; do
		if grep -q "^| \`$name\` |" "$page"; then
			echo "ok - $1 $name is documented"
		else
			echo "not ok - $1 $name is documented"
		fi
	done <"$names"
}

sed -n 's/^CAPCALL([A-Z]*, \([a-z]*\), [A-Z_]*, \([a-z_]*\),.*/\1_\2/p' \
	abi/captype.def >"$names"
check call
grep -o '^| `[a-z_]*_[a-z_]*` |' "$page" | tr -d '|` ' | while read -r name; do
	grep -qx "$name" "$names" || echo "not ok - call $name exists"
done
sed -n 's/^ERROR(\([A-Z_]*\),.*/\1/p' abi/errors.def >"$names"
check error
