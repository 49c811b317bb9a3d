#!/bin/sh
# SPDX-License-Identifier: MIT
# What each statement of a description makes, seen from inside the guest.
. tests/support/script.sh
need_kvm
cp "$CUSTOS_BUILD/guest/parts.elf" "$work"

# system [OPTION...]: run the description on standard input
system()
{
	cat >"$work/system.lua"
	run run "$@" "$work/system.lua"
}

system <<'END'
local m = memory{ "m", size = "8K", contents = "\1\0\0\0\0\0\0\0\2" }
local ro = view{ "ro", of = m, offset = "4K", rights = "r" }
process{ "p", program = "parts.elf", caps = { "console" },
	args = { "read", 0x10000000, "write", 0x10001000, 77,
		"read", 0x20000000, "write", 0x20000000, 1 },
	map = { { m, at = 0x10000000 }, { ro, at = 0x20000000 } } }
END
expect "memory has its contents; a view shows it elsewhere, read-only" 139 \
	"read 1" "read 77" "system: p ended with 139"

system <<'END'
local m = memory{ "big", size = "3M" , contents = ("x"):rep(3 << 20) }
process{ "p", program = "parts.elf", caps = { "console" },
	args = { "read", 0x10000000, "read", 0x102ffff8, "touch", 0x10000000,
		768 }, map = { { m, at = 0x10000000 } } }
END
expect "megabytes of contents" 0 "read 8680820740569200760" "touched 768"

system <<'END'
local ep = endpoint{ "ep" }
local m = memory{ "m", size = "1M", contents = "\9", pages = {
	[1] = { ep, payload = 11, rights = "w" },
	[2] = { ep, payload = 12, virtual = true },
	[200] = { ep, payload = 13 } } }
process{ "keeper", program = "parts.elf", service = true,
	args = { "serve", "ep" }, caps = { "console", "ep" } }
process{ "p", program = "parts.elf", caps = { "console" },
	args = { "read", 0x10000000, "read", 0x10001008,
		"write", 0x10001008, 5, "read", 0x10002010,
		"read", 0x100c8000, "write", 0x100c9000, 1 },
	map = { { m, at = 0x10000000 } } }
END
expect "pages with keepers: told of what they want; virtual ones" 0 \
	"read 9" "read 0" \
	"asked kind 1 offset 0x8 size 8 payload 11 value 5" \
	"asked kind 0 offset 0x10 size 8 payload 12" "read 12" \
	"asked kind 0 offset 0x0 size 8 payload 13" "read 13" \
	"system: p ended with 0"

system <<'END'
local ep = endpoint{ "ep" }
local v = virtual{ "v", size = "1M", keeper = { ep, payload = 21 } }
local m = memory{ "m", size = "4K" }
local n = node{ "n", size = "4M", keeper = { ep, payload = 22 },
	map = { { v, at = "1M" }, { m, at = 0 } } }
process{ "keeper", program = "parts.elf", service = true,
	args = { "serve", "ep" }, caps = { "console", "ep" } }
process{ "p", program = "parts.elf", caps = { "console" },
	args = { "write", 0x40000000, 3, "read", 0x40000000,
		"read", 0x40123458, "read", 0x40200000 },
	map = { { n, at = 0x40000000 } } }
process{ "q", program = "parts.elf", caps = { "console" },
	args = { "sleep", 1, "read", 0x50000000 },
	map = { { n, at = 0x50000000, rights = "r nocall" } } }
END
expect "nodes are shared; offsets count from where things begin" 0 \
	"read 3" "asked kind 0 offset 0x23458 size 8 payload 21" "read 21" \
	"asked kind 0 offset 0x200000 size 8 payload 22" "read 22" \
	"system: q ended with 0"

system <<'END'
local ep = endpoint{ "ep" }
process{ "keeper", program = "parts.elf", service = true,
	args = { "serve", "ep" }, caps = { "console", "ep" } }
process{ "p", program = "parts.elf", keeper = { ep, payload = 31 },
	args = { "write", 0x1000, 3 } }
END
expect "a process's keeper is told of its fault" 139 \
	"fault INVALID_ADDRESS at 0x1000 payload 31" "system: p ended with 139"

system <<'END'
local ep = endpoint{ "ep" }
local small = bank{ "small", limit = 50, keeper = ep }
local m = memory{ "m", size = "4K" }
local map, touch = {}, {}
for i = 0, 23 do -- each needs a table of its own
	map[i + 1] = { m, at = 0x40000000 + (i << 21) }
	touch[#touch + 1] = "read"
	touch[#touch + 1] = map[i + 1].at
end
process{ "keeper", program = "parts.elf", service = true,
	args = { "serve", "ep" }, caps = { "console", "ep", "small" } }
process{ "p", program = "parts.elf", bank = small, caps = { "console" },
	args = touch, map = map }
END
expect "a bank's keeper lets it go on" 0 "exhausted" \
	"system: p ended with 0"

system <<'END'
local ep = endpoint{ "ep" }
local bell = notice{ "bell", endpoint = ep, bits = 6 }
process{ "a", program = "parts.elf", caps = { "console", "ep" },
	args = { "receive", "ep", "receive", "ep" } }
process{ "b", program = "parts.elf",
	caps = { "console", "timer", bell = bell, to = { ep, payload = 41 } },
	args = { "sleep", 1, "post", "bell", 7, "sleep", 1, "send", "to", 5 } }
END
expect "messages and notices" 0 "received 0x10006 0x6 payload" \
	"received 0x5 0x0 payload 41"

system <<'END'
local inbox = buffer{ "inbox", id = 51, process = "server" }
local letter = buffer{ "letter", id = 52, process = "client" }
process{ "client", program = "parts.elf", caps = { "console", letter,
	to = { inbox, rights = "send" } },
	args = { "enqueue", "to", "letter", 7, "news", 1 } }
process{ "server", program = "parts.elf", caps = { "console" },
	args = { "news", 1 } }
END
expect "message buffers activate their processes" 0 "news 1 of 52: " \
	"news 2 of 51: 7"

system <<'END'
local ep = endpoint{ "ep" }
process{ "a", program = "parts.elf",
	caps = { "console", "timer", "discrim", "schedule", "bank",
		other = { ep, rights = "send" }, child = "parts.elf", b = "b" },
	args = { "caps" } }
process{ "b", program = "parts.elf", start = false, service = true }
END
expect "capabilities by name, with their rights" 0 "cap console type 1 " \
	"cap timer type 8 " "cap discrim type 11 " "cap schedule type 15 " \
	"cap bank type 5 " "cap other type 7 rights 0x8" "cap child type 9 " \
	"cap b type 2 " "cap self type 2 "

system --cpus 2 <<'END'
local done = endpoint{ "done" }
for i = 1, 150 do
	endpoint{ "e" .. i }
end
for i = 1, 8 do
	process{ "p" .. i, program = "parts.elf", cpu = i % 2, slice = "1ms",
		caps = { to = { done, rights = "send" }, x = "e" .. 150 - i },
		args = { "send", "to", i } }
end
process{ "sum", program = "parts.elf", caps = { "console", "done" }, args = {
	"receive", "done", "receive", "done", "receive", "done",
	"receive", "done", "receive", "done", "receive", "done",
	"receive", "done", "receive", "done" } }
END
expect "more objects than slots, processes on both CPUs" 0 \
	"received 0x1 " "received 0x8 " "system: p8 ended with 0"

system <<'END'
local never = endpoint{ "never" }
process{ "stuck", program = "parts.elf", caps = { "never" },
	args = { "receive", "never" } }
process{ "boss", program = "parts.elf", main = true,
	args = { "nothing" } }
END
expect "the system ends with its main process" 2 "system: boss ended with 2"
finish
