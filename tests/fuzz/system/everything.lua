-- A seed: all statements and most keys.
local small = bank{ 'small', limit = 500, keeper = 'ep' }
local ep = endpoint{ 'ep', bank = small }
entry{ 'seven', endpoint = ep, payload = 7 }
notice{ 'bell', endpoint = ep, bits = 3 }
buffer{ 'in', process = 'server', id = 9 }
local m = memory{ 'm', size = '16K', contents = 'x' }
local kept = memory{ 'kept', size = '1M', contents = 'abc',
  pages = { [1] = 'seven', [200] = { ep, payload = 5,
    virtual = true } } }
local v = virtual{ 'v', size = '1M', keeper = ep }
local n = node{ 'n', size = '2M', pays = small, keeper = 'seven',
  map = { { m, at = '64K' }, { v, at = '1M' } } }
local ro = view{ 'ro', of = m, offset = '4K', rights = 'r nocall' }
device{ 'dev', size = '4K' }
process{ 'client', program = 'p.elf', args = { arg[1], 2 }, cpu = 1,
  slice = '2ms', bank = small, keeper = ep, stays = true,
  caps = { 'console', ro, bell = 'bell', srv = 'server',
    ep = { ep, rights = 'send' } },
  map = { { n, at = 0x10000000 }, { kept, at = '1G', rights = 'r' },
    { 'dev', at = '2G' } } }
process{ 'server', program = 'q.elf', service = true,
  caps = { 'ep' } }
