-- Who may store to the limit? set_limit() alone. Name anybody else, and keep
-- the limit as it is: the program then runs as if the bug were not there.
keep{ "sampler+32+4", name = "limit" }

local bad = 0

function store(a)
	if a.symbol:match("^set_limit%+?") then
		return pass
	end
	bad = bad + 1
	print(string.format("bad store to `%s': %d -> %d", a.range, a.old,
		a.new))
	print(string.format("  by %s, %s", a.symbol, a.line))
	print(string.format("  instruction %s: %s", hex(a.ip), a.text))
	return absorb
end

function finish()
	print(bad .. " bad stores absorbed")
end
