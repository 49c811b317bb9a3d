-- Two programs and one memory object: the writer counts in it, the reader
-- waits for the count and can do no more than read.
local rounds = arg[1] or 1000

local small = bank{ "small", limit = 256 } -- frames: what both may use

local shared = memory{ "shared", size = "64K", bank = small,
	contents = "written by the description" }
local ready = endpoint{ "ready", bank = small }

process{ "writer", program = "writer.elf", args = { rounds }, bank = small,
	caps = { "console", ready = { ready, rights = "send" } },
	map = { { shared, at = 0x10000000, rights = "rw" } } }

process{ "reader", program = "reader.elf", args = { rounds }, bank = small,
	caps = { "console", ready = { ready, rights = "receive" } },
	map = { { shared, at = 0x20000000, rights = "r" } } }
