#!/bin/sh
# SPDX-License-Identifier: MIT
# Every header compiles alone.
set -u
: "${CC:=gcc}"
flags="-std=c17 -D_GNU_SOURCE -Wall -Werror -fsyntax-only
	-Wno-gnu-variable-sized-type-not-at-end -x c"

for header in $(find src include abi guest -name '*.h' 2>/dev/null | sort); do
	paths="-Isrc -Iinclude -I. ${CUSTOS_CFLAGS:-}"
	case $header in
	guest/*) paths="-ffreestanding -I. -Iguest/lib/include -Iguest/kernel" ;;
	esac
	if echo "#include \"$header\"" | $CC $flags $paths -; then
		echo "ok - $header compiles alone"
	else
		echo "not ok - $header compiles alone"
	fi
done
