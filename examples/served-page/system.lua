-- A client that reads and writes memory which is not there: a keeper, another
-- program of the guest, answers each load and store.
local questions = endpoint{ "questions" }

local squares = virtual{ "squares", size = "4K",
	keeper = { questions, payload = 7 } }

process{ "keeper", program = "keeper.elf", service = true,
	caps = { "console", questions = { questions, rights = "receive" } } }

process{ "client", program = "client.elf", caps = { "console" },
	map = { { squares, at = 0x30000000 } } }
