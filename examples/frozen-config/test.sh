#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
program=$CUSTOS_BUILD/examples/frozen-config/config.elf
run run --freeze config,allow=config_read "$program"
expect "the store is denied, and the storer named" 139 \
	"freeze: store to config.verbose denied (0x0 -> 0x1) by config.elf#1 at" \
	"is_verbose" " #1 report"
run run --freeze config,pass,allow=config_read "$program"
expect "with \`pass' it is told, and the program goes on" 0 \
	"freeze: store to config.verbose (0x0 -> 0x1) by" "done at 9600"
run run --freeze config,allow=config_read "$program" fixed
expect_silence "the corrected program stores nothing" freeze 0
finish
