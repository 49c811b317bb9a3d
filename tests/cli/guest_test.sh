#!/bin/sh
# SPDX-License-Identifier: MIT
# The guest kernel, tested by programs that run on it.
# timeout: 300
. tests/support/script.sh
need_kvm
guest=$CUSTOS_BUILD/guest

run run -q --memory 16M "$guest/usertests.elf"
expect "usertests pass on one CPU" 0 " 0 failed"
run run -q --memory 16M --cpus 2 "$guest/usertests.elf"
expect "usertests pass on two CPUs" 0 " 0 failed"

run run -q "$guest/hello.elf" one "two words"
expect "arguments arrive" 0 "hello from" "argument 1: one" \
	"argument 2: two words"

run run -q --cpus 2 "$guest/shared_counter.elf" 10000 lock
expect "two processes share memory" 0 "shared = 20000, expected 20000, lost 0"

# The program itself lists what it can do wrong, and the exit codes.
run run -q "$guest/fault.elf"
cp "$work/out" "$work/kinds"
while read -r kind wanted; do
	run run -q "$guest/fault.elf" "$kind"
	expect "$kind ends with code $wanted" "$wanted"
done <"$work/kinds"

run run -k source+0+4 --cpus 2 "$guest/copies.elf"
expect "the kernel's reads of kept bytes are accesses" 0 \
	"1 ipc_src, 1 syscall_load" "received 12 bytes: hello there"
run run -k destination+2+4 --cpus 2 "$guest/copies.elf"
expect "so are its writes" 0 "1 ipc_dst" "received 12 bytes: hello there"

# Refused, they are an error of the call, and the process lives.
cat >"$work/deny.lua" <<'LUA'
keep "source"
function load(a)
	if a.kind ~= "load" then
		return deny("secret")
	end
end
LUA
run run -s "$work/deny.lua" "$guest/copies.elf"
expect "a keeper can deny them" 0 "write: DENIED" "send: DENIED"
finish
