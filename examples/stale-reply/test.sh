#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
program=$CUSTOS_BUILD/examples/stale-reply/reply.elf
run run --uninit reply,mark=replies "$program"
expect "the length of the reply before is found" 0 \
	"uninit: load of reply.length (4 bytes) never stored since mark 3, by" \
	"reply.elf#1 at send" " #1 main" "uninit: reply: 2 loads"
run run --uninit reply,mark=compose "$program"
expect "and so when the mark is a call" 0 \
	"uninit: load of reply.length (4 bytes) never stored since mark 3, by"
run run --uninit reply,mark=replies "$program" fixed
expect_silence "nothing in the corrected program" uninit 0
finish
