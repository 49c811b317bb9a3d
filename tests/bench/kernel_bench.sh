#!/bin/sh
# SPDX-License-Identifier: MIT
# The same as kernel_bench counts, in time on this machine, the monitor's part
# included: ratios of one run.
set -u
CUSTOS=${CUSTOS:-build/custos}
BUILD=${CUSTOS_BUILD:-build}

if ! [ -w /dev/kvm ]; then
	echo "kernel: skipped, no /dev/kvm"
	exit 0
fi
echo "guest kernel and monitor, time in one run:"
"$CUSTOS" run -q "$BUILD/guest/costs.elf" "${COUNT:-1000}" | sed 's/^/  /'
