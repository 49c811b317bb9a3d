#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
run run -q --cpus 2 "$CUSTOS_BUILD/examples/cow-pager/cow.elf"
expect "only pages stored to are copied" 0 "child: sum 1200" \
	"child: sum 4200 after its stores" \
	"parent: sum 1200, 3 of 16 pages copied"
finish
