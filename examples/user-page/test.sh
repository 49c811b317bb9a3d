#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
run run -q --cpus 2 "$CUSTOS_BUILD/examples/user-page/page.elf"
expect "a process stands in for a page" 0 \
	"word 12 of a page: 0; of the process: 144" "asked 9 times"
finish
