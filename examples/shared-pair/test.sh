#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
for cpus in 1 2; do
	run run -q --cpus $cpus "$CUSTOS_BUILD/examples/shared-pair/pair.elf"
	expect "all numbers arrive, $cpus CPUs" 0 "1000 squares, sum 332833500"
done
finish
