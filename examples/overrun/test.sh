#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
program=$CUSTOS_BUILD/examples/overrun/line.elf
run run --guard input.line "$program"
expect "the store behind the buffer is found, with its stack" 0 \
	"guard: store (1 byte) right behind \`input.line', in input+0x10, by" \
	"line.elf#1 at read_line" "(line.c:" " #1 main"
run run --guard input.line "$program" fixed
expect_silence "the neighbour's own users are no bugs" guard 0
run run --guard input.line,4,all "$program" fixed
expect "with \`all' they are" 0 "line.elf#1 at count_line"
finish
