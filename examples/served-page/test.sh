#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
m=$CUSTOS_BUILD/examples/served-page
run run -m "$m" examples/served-page/system.lua
expect "a guest program answers the client's loads and stores" 0 \
	"client: word 4 is 16" "keeper: 4 bytes stored to word 100: 30" \
	"system: client ended with 0"
run run --cpus 2 -m "$m" \
	examples/served-page/system.lua
expect "on another CPU, too" 0 "client: word 3 is 9"
sed 's/at = 0x30000000/at = 0x30000000, rights = "r"/' \
	examples/served-page/system.lua >"$work/system.lua"
run run -m "$m" "$work/system.lua"
expect "a mapping without w lets no store through" 139 \
	"client: word 4 is 16" "system: client ended with 139"
finish
