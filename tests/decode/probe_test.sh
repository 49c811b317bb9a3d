#!/bin/sh
# SPDX-License-Identifier: MIT
# timeout: 300
# The decoder's sizes and kinds against the CPU.
exec "$CUSTOS_BUILD/tests/decode/probe" -n 1 tests/decode/binaries.txt
