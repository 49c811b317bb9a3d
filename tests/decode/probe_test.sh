#!/bin/sh
# SPDX-License-Identifier: MIT
# timeout: 300
# The decoder's sizes and kinds against the CPU.
if grep -q 'model name.*QEMU' /proc/cpuinfo; then
	echo "skipped: an emulated CPU is no measure"
	exit 77
fi
exec "$CUSTOS_BUILD/tests/decode/probe" -n 1 tests/decode/binaries.txt
