-- Hold one increment between its load and its store until the other process
-- has done all of its own. Whoever loads first is held: its store is stepped
-- and rolled back, so its process tries again and again, and between two tries
-- the other one gets at the counter. No value is touched: only who is next.
keep{ "shared+0+8", name = "counter" }

local held -- the process whose store waits
local other_stored, over = false, false

local function say(a, format, ...)
	print(string.format("%-5s process: ",
		a.pid == held and "held" or "other") ..
		string.format(format, ...) .. " (" .. a.line .. ")")
end

function load(a)
	if over then
		return pass -- the first program, looking at the sum
	end
	held = held or a.pid
	say(a, "load %d", a.value)
end

function store(a)
	if a.pid == held then
		return step
	end
	say(a, "store %d over %d", a.new, a.old)
	other_stored = true
end

function stepped(a, s)
	if not other_stored then
		return rollback -- and so to the next try
	end
	over = true
	say(a, "store %d over %d", s.new, s.old)
	if s.new == s.old then
		print("An update is lost: this increment was computed before "
			.. "the other's store.")
	end
end
