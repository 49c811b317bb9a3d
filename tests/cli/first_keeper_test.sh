#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/FIRST-KEEPER.md: its programs are built and run, and print what it says.
# timeout: 300
. tests/support/script.sh
need_kvm
page=docs/FIRST-KEEPER.md
if ! command -v "${CC:-gcc}" >/dev/null || [ ! -r "$page" ]; then
	skip "the walk-through" "no compiler, or no $page"
	finish
	exit 0
fi

# A block begins with its file's name, or says whose output it is.
awk -v to="$work" '
	/^```c$/ { in_code = 1; next }
	/^```output / { out = to "/" $2 ".want"; next }
	/^```$/ { in_code = 0; out = ""; next }
	in_code && !out { out = to "/" $2; sub(/:$/, "", out) }
	out { print >out }' "$page"

for source in "$work"/*.c; do
	name=${source##*/}
	elf=$work/${name%.c}.elf
	if ! "${CC:-gcc}" -O2 -g -Wall -Wextra -ffreestanding -nostdlib -static \
		-fno-pie -fno-stack-protector -fcf-protection=none \
		-I. -Iguest/lib/include -Wl,-T,guest/lib/guest.ld \
		-Wl,-z,max-page-size=4096 -Wl,--build-id=none \
		"$CUSTOS_BUILD/guest/crt0.o" "$source" \
		"$CUSTOS_BUILD/guest/libcustos-guest.a" -o "$elf" \
		>"$work/cc" 2>&1 || [ -s "$work/cc" ]; then
		fail "$name is built without a warning" "$work/cc"
		continue
	fi
	run run -q --cpus 2 "$elf"
	if [ $code = 0 ] && cmp -s "$work/out" "$work/$name.want"; then
		pass "$name prints what the page says"
	else
		diff -u "$work/$name.want" "$work/out" >"$work/why"
		fail "$name prints what the page says" "$work/why" "$work/err"
	fi
done
if [ $number != 3 ]; then
	fail "there are three programs"
fi
finish
