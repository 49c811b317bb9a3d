#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
run run -q --cpus 2 "$CUSTOS_BUILD/examples/bank-server/bank.elf"
expect "each client gets what its account allows, and all comes back" 0 \
	"client 0: 4 pages, then LIMIT" "client 1: 5 pages, then LIMIT" \
	"client 2: 6 pages, then LIMIT" "every frame is back"
finish
