#!/bin/sh
# SPDX-License-Identifier: MIT
. tests/support/script.sh
need_kvm
expect_example examples/device run -s examples/device/divider.lua \
	"$CUSTOS_BUILD/examples/device/divider.elf"
if [ $code = 0 ]; then
	pass "the driver is content with the device"
else
	fail "the driver is content with the device" "$work/all"
fi
finish
