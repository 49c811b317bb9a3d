#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
m=$CUSTOS_BUILD/examples/two-programs
run run -m "$m" \
	examples/two-programs/system.lua 1000
expect "the reader sees what the writer counted" 0 \
	'reader: "written by the description", 1000 of 1000' \
	"system: writer ended with 0" "system: reader ended with 0"
run run --cpus 2 -k 0x10000040+8 -k 'reader.elf!0x20000040+8' \
	-m "$m" examples/two-programs/system.lua 20
expect "both are seen in kept memory that they share" 0 "missed 0" \
	"writer.elf" "reader.elf#"
sed 's/rights = "r" }/rights = "rw nocall" }/; s/"send"/"receive"/' \
	examples/two-programs/system.lua >"$work/system.lua"
run run -m "$m" "$work/system.lua"
expect "the writer cannot send with the right to receive" 123 \
	"system: writer ended with 134" "every process waits forever"
finish
