#!/bin/sh
# SPDX-License-Identifier: MIT
# As users do it: install custos, build the plugin elsewhere with pkg-config and
# nothing of this tree, run it.
# timeout: 300
. tests/support/script.sh
example=examples/plugin
prog=$CUSTOS_BUILD/$example/tank.elf
plugin=$CUSTOS_BUILD/$example/keeper/bounds.so
CC=${CC:-cc}

build_outside()
{
	build=${CUSTOS_BUILD#"$CUSTOS_TOP"/} # as make knows it
	make -s BUILD="$build" PREFIX="$work/usr" install >"$work/out" 2>&1 ||
		return 1
	cp $example/keeper/bounds.c "$work/" && (
		cd "$work" || exit 1
		PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
		export PKG_CONFIG_PATH
		flags=$(pkg-config --cflags custos) || exit 1
		# shellcheck disable=SC2086
		$CC -std=c11 -Wall -Wextra -Werror -shared -fPIC $flags \
			bounds.c -o bounds.so &&
			[ "$(pkg-config --variable=plugindir custos)" = \
				"$work/usr/lib/custos/plugins" ]
	) >"$work/out" 2>&1
}

if command -v pkg-config >/dev/null && command -v make >/dev/null &&
	command -v "$CC" >/dev/null && [ -n "${CUSTOS_TOP:-}" ]; then
	if build_outside; then
		pass "a plugin is built with what is installed"
		plugin=$work/bounds.so
		cp "$plugin" "$work/usr/lib/custos/plugins/"
		CUSTOS=$work/usr/bin/custos
	else
		fail "a plugin is built with what is installed" "$work/out"
	fi
	symbols=$(nm -D --undefined-only "$plugin" | awk '{ print $2 }' |
		grep -v '@GLIBC\|^_\|^__')
	if [ -z "$symbols" ]; then
		pass "it needs no symbol of custos"
	else
		echo "$symbols" >"$work/out"
		fail "it needs no symbol of custos" "$work/out"
	fi
else
	skip "a plugin is built with what is installed" "no compiler here"
fi
if [ -w /dev/kvm ]; then
	run run -q "$prog"
	expect "the tank runs dry without it" 1
	expect_example $example run --plugin "$plugin:level,0,100" "$prog"
	if [ -d "$work/usr" ]; then
		run run -q --plugin bounds.so:level,0,100 "$prog"
		expect "an installed plugin is found by its name" 0
	fi
else
	skip "the example" "no /dev/kvm"
fi
finish
