#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
run run -q --cpus 2 "$CUSTOS_BUILD/examples/write-watch/watch.elf"
expect "stores are seen one by one" 0 "8 bytes at 0x8: 0 -> 5" \
	"8 bytes at 0x8: 5 -> 12" "8 bytes at 0x8: 12 -> 42" \
	"1 bytes at 0x10: 0 -> 9"
expect "one that is not liked is taken back" 0 "8 bytes at 0x8: 42 -> 3" \
	"taken back" "the worker ended with 139" "the word is 42"
finish
