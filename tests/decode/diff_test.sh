#!/bin/sh
# SPDX-License-Identifier: MIT
# timeout: 300
# The executor against the CPU, as many random states as fit into half a
# minute, other ones on another day. `make check-decode-full' does more.
if grep -q 'model name.*QEMU' /proc/cpuinfo; then
	echo "skipped: an emulated CPU is no measure"
	exit 77
fi
if grep -q __asan_init "$CUSTOS_BUILD/tests/decode/diff"; then
	echo "skipped: AddressSanitizer has mapped what 32-bit operands point to"
	exit 77
fi
exec "$CUSTOS_BUILD/tests/decode/diff" -n 1000000 -t "${DIFF_SECONDS:-25}" \
	-s "$(date +%j)000" $(ls tests/decode/binaries.txt 2>/dev/null)
