#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/objects says what abi/captype.def says, and the check of it works.
set -u
verdict() # WHAT; the code of the command before
{
	if [ "$2" = 0 ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
	fi
}

tools/object-tables --check
verdict "the tables of docs/objects are up to date" $?

copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
cp docs/objects/*.md "$copy"
sed -i '/^| `alloc` /d' "$copy/bank.md"
CUSTOS_DOCS=$copy tools/object-tables --check >"$copy/out"
[ $? = 1 ] && grep -q 'bank.md: not up to date' "$copy/out"
verdict "a call that is not in its table is found" $?
CUSTOS_DOCS=$copy tools/object-tables && cmp -s docs/objects/bank.md "$copy/bank.md"
verdict "and put there" $?
rm "$copy/gpt.md"
CUSTOS_DOCS=$copy tools/object-tables --check | grep -q 'gpt.md: not there'
verdict "a type without a page is found" $?
