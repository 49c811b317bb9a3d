#!/bin/sh
# SPDX-License-Identifier: MIT
# Who includes whom follows tools/layers.txt, and the check of it works.
set -u
if awk -f tools/check-layers tools/layers.txt src/*/*.[ch]; then
	echo "ok - includes follow tools/layers.txt"
else
	echo "not ok - includes follow tools/layers.txt"
fi

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
top=$PWD
mkdir -p "$dir/src/base" "$dir/src/vmm"
echo '#include "vmm/vmm.h"' >"$dir/src/base/bad.c"
if (cd "$dir" && awk -f "$top/tools/check-layers" "$top/tools/layers.txt" \
	src/base/bad.c >/dev/null); then
	echo "not ok - a layer violation is found"
else
	echo "ok - a layer violation is found"
fi

# A library that only one module may know.
only() # WHAT PATTERN FILES-ALLOWED
{
	bad=$(grep -lE "^# *include *<($2)" src/*/*.[chS] 2>/dev/null |
		grep -vE "^($3)")
	if [ -z "$bad" ]; then
		echo "ok - $1 is included only where it belongs"
	else
		echo "not ok - $1 is included by" $bad
	fi
}
only KVM 'linux/kvm' 'src/vmm/|src/cli/'
only ptrace 'sys/ptrace' src/process/
only Zydis Zydis src/decode/
only Capstone capstone src/decode/
only Lua 'lua|lauxlib' src/keeper/script
only libelf 'libelf|gelf|elfutils|dwarf' src/image/
