#!/bin/sh
# SPDX-License-Identifier: MIT
# make install: what is installed works from where it is, and can be removed.
# timeout: 300
set -u
: "${CC:=gcc}"
build=${CUSTOS_BUILD#"$CUSTOS_TOP"/} # as make knows it
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

check() # WHAT COMMAND...
{
	what=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok - $what"
	else
		cat "$dir/out"
		echo "not ok - $what"
	fi
}

check "make install" make -s BUILD="$build" PREFIX="$dir/usr" install
check "the program runs" "$dir/usr/bin/custos" --version
check "DESTDIR comes before PREFIX" make -s BUILD="$build" \
	DESTDIR="$dir/stage" PREFIX=/usr install
check "and is not written into files" \
	grep -qx 'prefix=/usr' "$dir/stage/usr/lib/pkgconfig/custos-guest.pc"

printf '%s\n' '#include <custos/guest.h>' '#include <custos/arch.h>' \
	'int main(int argc, char **argv) { (void)argv; return argc + 6; }' >"$dir/prog.c"
PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig
export PKG_CONFIG_PATH
check "a guest program is built with what is installed" sh -c \
	"$CC \$(pkg-config --cflags custos-guest) '$dir/prog.c' -o '$dir/prog' \
	\$(pkg-config --libs custos-guest)"
runs_in_a_guest()
{
	"$dir/usr/bin/custos" run -q "$dir/prog" and so
	[ $? -eq 9 ]
}
if [ -w /dev/kvm ]; then
	check "and runs" runs_in_a_guest
else
	echo "# skipped: no /dev/kvm"
	echo "ok - and runs # SKIP"
fi

for file in share/man/man1/custos.1 share/man/man1/custos-run.1 \
	share/bash-completion/completions/custos \
	share/doc/custos/README.md share/doc/custos/examples \
	include/custos/decode.h include/custos/keeper.h \
	lib/pkgconfig/custos.pc share/man/man3/custos-keeper.3 \
	lib/custos/plugins; do
	check "$file is there" test -e "$dir/usr/$file"
done
check "make uninstall" make -s BUILD="$build" PREFIX="$dir/usr" \
	uninstall
check "leaves nothing" sh -c "[ -z \"\$(find '$dir/usr' -type f)\" ]"
