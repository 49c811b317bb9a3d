-- Every increment is really executed, with everybody else kept out, and then
-- judged by what it did. The one that made 3 of 2 is undone, once: it executes
-- again, is asked again, and is let through.
keep "counter"

local undone = false

function rmw(a)
	return step
end

function stepped(a, s)
	print(string.format("%s: %d -> %d", a.text:match("^%S+ %S+"), s.old,
		s.new))
	if s.new == 3 and not undone then
		undone = true
		print("  undone: " .. s.old .. " again")
		return rollback
	end
	return continue
end
