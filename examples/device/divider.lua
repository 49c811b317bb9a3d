-- The divider: eight registers of 32 bits. A division takes three polls.
local ID, CONTROL, STATUS, DIVIDEND, DIVISOR, QUOTIENT, REMAINDER =
	0, 4, 8, 12, 16, 20, 24
local BUSY, ERROR = 1, 2

local register = { [ID] = 0x31564944, [CONTROL] = 0, [STATUS] = 0,
	[DIVIDEND] = 0, [DIVISOR] = 0, [QUOTIENT] = 0, [REMAINDER] = 0 }
local busy = 0 -- polls that are still told "busy"

local function start()
	busy = 3
	if register[DIVISOR] == 0 then
		register[STATUS] = ERROR
		return
	end
	register[STATUS] = 0
	register[QUOTIENT] = register[DIVIDEND] // register[DIVISOR]
	register[REMAINDER] = register[DIVIDEND] % register[DIVISOR]
end

local function read_register(a)
	if a.size ~= 4 or not register[a.offset] then
		return deny("no such register")
	end
	if a.offset == STATUS and busy > 0 then
		busy = busy - 1
		return serve(BUSY)
	end
	return serve(register[a.offset])
end

local function write_register(a)
	if a.size ~= 4 or not register[a.offset] then
		return deny("no such register")
	end
	if a.offset == CONTROL and a.value & 1 == 1 then
		print(string.format("divider: start %d / %d",
			register[DIVIDEND], register[DIVISOR]))
		start()
	elseif a.offset == DIVIDEND or a.offset == DIVISOR then
		register[a.offset] = a.value
	end
	return absorb
end

keep{ "device:divider+32", load = read_register, store = write_register }
