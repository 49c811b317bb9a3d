#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that attack the guest kernel are refused, it lives, and the machine
# has all frames back: guest/programs/attacks.
# timeout: 900
. tests/support/script.sh
need_kvm

for program in "$CUSTOS_BUILD"/guest/attacks/*.elf; do
	name=$(basename "$program" .elf)
	limit=${ATTACK_LIMIT:-120} run run -q --memory 16M --cpus 2 "$program"
	expect "$name" 0 ": refused, "
done
finish
