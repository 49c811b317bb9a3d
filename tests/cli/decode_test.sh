#!/bin/sh
# SPDX-License-Identifier: MIT
# custos decode: what it prints, what it refuses.
set -u
CUSTOS=${CUSTOS:-build/custos}
number=0

# check WHAT EXPECTED-CODE EXPECTED-TEXT ARGUMENTS...: exit code, and a text
# that must be somewhere in the output.
check()
{
	what=$1 code=$2 text=$3
	shift 3
	number=$((number + 1))
	output=$("$CUSTOS" decode "$@" 2>&1)
	got=$?
	case $output in
	*"$text"*) found=yes ;;
	*) found=no ;;
	esac
	if [ $got = "$code" ] && [ $found = yes ]; then
		echo "ok $number - $what"
	else
		echo "not ok $number - $what"
		echo "# exit code $got, expected $code; expected in the output: $text"
		echo "$output" | sed 's/^/# /'
	fi
}

check "a locked add is one atomic rmw" 0 "rmw   8  [rbx]  atomic" f0480fc10b
check "JSON has kind, size and formula" 0 \
	'"accesses":[{"kind":"store","size":32,"address":"[rdi]"' --json c5fe7f07
check "bytes may be spread over arguments" 0 "mov rax, qword ptr [rsp + 8]" \
	48 8b 44 24 08
check "0x and \\x are fine" 0 "rep movsd" '0xf3 \xa5'
check "a bit offset moves the address" 0 "[rbx + (rcx:64 >> 6)*8]" 480fab0b
check "both operands of push m" 0 "load  8  [rax]
    store 8  [rsp - 0x8]" ff30
check "branch targets are relative to the address" 0 "call 0x401005" \
	-a 0x401000 e800000000
check "what only a single step can do is marked" 0 "only by single step" 0f0100
check "an incomplete instruction is named" 125 "not complete: 48 8b" 488b
check "what decodes before bad bytes is shown" 125 "nop" 9006
check "bad bytes are named with their offset" 125 \
	"byte 1: no user-mode instruction starts like that" 9006
check "no hex digit" 125 "\`z' in \`z9' is not a hex digit" z9
check "an odd number of digits" 125 "odd number" 909
check "no digits behind 0x" 125 "no digits behind 0x" 0x
check "nothing to decode" 125 "no bytes" ""
check "no arguments" 125 "no bytes"
check "an unknown option" 125 "unknown option or missing argument: --x" --x
check "an address that is none" 125 "\`-1' is not an address" -a -1 90
check "help" 0 "Usage: custos decode" --help
echo "1..$number"
