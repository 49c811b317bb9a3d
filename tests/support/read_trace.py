#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A reader of traces, written from docs/TRACE-FORMAT.md and nothing else.

read_trace.py [--quiet] TRACE: prints every record in one line of words (or
only looks at them), and checks what the page promises: hashes, numbers, bounds, that each filter knows each byte
that is stored, that checkpoints say what the records say, that the index is
that of the file. Exit code 1 with a sentence on standard error when something
does not fit; 77 when libzstd or libxxhash is not there.
"""
import ctypes
import ctypes.util
import struct
import sys

WORD = (1 << 64) - 1
KEY = 0xD6E8FEB86659FD93
READS_OLD, HAS_NEW, HAS_REGS, HAS_STACK = 2, 4, 8, 16
LOAD, STORE, RMW, FETCH, IPC_SRC, IPC_DST, SYS_LOAD, SYS_STORE = range(8)
WRITES = (STORE, RMW, IPC_DST, SYS_STORE)
META, NAMES, RECORDS, STORED, MEMORY, INDEX, START, INPUTS = range(1, 9)
EVENTS = {1: "process_start", 2: "process_exit", 3: "bind", 4: "unbind",
          5: "marker", 6: "lost", 7: "end"}


class Bad(Exception):
    """The file is not what the page says."""


def check(condition, what):
    if not condition:
        raise Bad(what)


def signed(n):
    return n - (1 << 64) if n >> 63 else n


# ---- foreign libraries ----

def library(name):
    path = ctypes.util.find_library(name)
    if not path:
        print("no lib%s" % name, file=sys.stderr)
        sys.exit(77)
    return ctypes.CDLL(path)


xxhash, zstd = library("xxhash"), library("zstd")
xxhash.XXH3_64bits.restype = ctypes.c_uint64
xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                 ctypes.c_char_p, ctypes.c_size_t]


def hash64(data):
    return xxhash.XXH3_64bits(bytes(data), len(data))


def decompress(data, size):
    out = ctypes.create_string_buffer(size)
    check(zstd.ZSTD_decompress(out, size, bytes(data), len(data)) == size,
          "a zstd frame of another size")
    return out.raw


# ---- the alphabet ----

class In:
    def __init__(self, data):
        self.data, self.at = data, 0

    def more(self):
        return self.at < len(self.data)

    def bytes(self, n):
        check(n <= len(self.data) - self.at, "ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.bytes(1)[0]

    def u64(self):
        return struct.unpack("<Q", self.bytes(8))[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            check(shift < 63 or byte <= 1, "a varint beyond 64 bits")
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise Bad("a varint without end")

    def delta(self):
        value = self.varint()
        return (value >> 1) ^ (WORD if value & 1 else 0)

    def string(self):
        text = self.bytes(self.varint())
        check(b"\0" not in text, "a NUL in a string")
        return text.decode("utf-8", "backslashreplace")


# ---- chunks ----

class Chunk:
    def __init__(self, data, offset):
        head = data[offset:offset + 80]
        check(len(head) == 80 and head[:4] == b"TCCk", "no chunk header")
        (self.type, self.codec, self.flags, self.stored, self.raw,
         self.records, self.accesses, self.seq_first, self.seq_last,
         self.time_first, self.time_last, self.hash, self.number,
         self.subject, header_hash) = struct.unpack("<BBHIIIIQQQQQIIQ",
                                                    head[4:])
        check(header_hash == hash64(head[:72]), "header hash")
        check(self.stored <= self.raw <= 64 << 20, "sizes")
        check(self.records <= 65536 and self.codec <= 1, "bounds")
        self.head, self.offset = head, offset
        self.end = offset + 80 + self.stored
        payload = data[offset + 80:self.end]
        check(len(payload) == self.stored, "cut off")
        check(self.hash == hash64(payload), "payload hash")
        self.payload = decompress(payload, self.raw) if self.codec else payload
        check(len(self.payload) == self.raw, "raw size")


# ---- names ----

class Names:
    def __init__(self):
        self.ranges, self.sites, self.processes = {}, [], {}
        self.out = []

    def range(self, src):
        r = dict(id=src.varint(), name=src.string(), device=src.u8(),
                 program=src.varint(), address=src.varint(),
                 length=src.varint())
        self.ranges[r["id"]] = r

    def meta(self, src):
        command, kvm = src.string(), src.string()
        cpus, started, script = src.varint(), src.varint(), src.u64()
        programs = [(src.string(), src.string(), src.u64())
                    for _ in range(src.varint())]
        for _ in range(src.varint()):
            self.range(src)
        check(not src.more(), "more behind META")
        return ("meta", repr(command), kvm, cpus, started, "%#x" % script,
                programs)

    def names(self, src):
        while src.more():
            kind = src.u8()
            if kind == 1:
                check(src.varint() == len(self.sites), "a site out of order")
                src.varint()
                self.sites.append((src.varint(), src.bytes(src.u8()),
                                   src.string(), src.string(), src.string()))
            elif kind == 2:
                number = src.varint()
                self.processes[number] = (src.string(), src.varint() - 1)
            else:
                check(kind == 3, "an unknown name")
                self.range(src)


# ---- records ----

class Site:
    """What is remembered of a site within a chunk."""

    def __init__(self, number):
        self.number = number
        self.next = self.shape = self.stack = None
        self.seen = False
        self.address = self.stride = 0
        self.old = self.old_stride = self.new = self.new_stride = 0
        self.change = self.final = self.final_stride = 0
        self.reg, self.reg_stride = [0] * 18, [0] * 18


class Who:
    def __init__(self, process, cpu):
        self.process, self.cpu, self.last = process, cpu, None


class Shape:
    def __init__(self, src):
        self.kind, self.outcome, self.flags, self.final = (
            src.u8(), src.u8(), src.u8(), src.u8())
        self.size, self.kept_first, self.kept_count = (
            src.varint(), src.varint(), src.varint())
        self.range, self.lanes = src.varint(), src.varint()
        self.base = 0
        check(self.kind < 8 and self.final < 4 and self.lanes <= 64,
              "a shape out of bounds")


class Model:
    def __init__(self):
        self.slots = {}

    def slot(self, range_id, granule):
        key = (granule + range_id * KEY) & WORD
        return key, (key * 0x9E3779B97F4A7C15 & WORD) >> 48

    def granule(self, range_id, granule):
        key, slot = self.slot(range_id, granule)
        known = self.slots.get(slot)
        return known[1] if known and known[0] == key else bytes(8)

    def get(self, range_id, address, n):
        both = self.granule(range_id, address >> 3) + self.granule(
            range_id, (address >> 3) + 1)
        return int.from_bytes(both[address & 7:(address & 7) + n], "little")

    def learn(self, range_id, address, value, n):
        data = value.to_bytes(8, "little")[:n]
        for i, byte in enumerate(data):
            at = address + i
            key, slot = self.slot(range_id, at >> 3)
            known = self.slots.get(slot)
            if not known or known[0] != key:
                known = self.slots[slot] = (key, bytearray(8))
            known[1][at & 7] = byte


class Access:
    """One access, as the columns say it."""

    def __init__(self, d):
        c = d.columns
        self.who = d.take_who()
        self.site = d.take_site(self.who)
        self.shape = shape = d.take_shape(self.site)
        self.address = d.take_address(self.site)
        self.offset = (self.address + shape.kept_first - shape.base +
                       c[6].delta()) & WORD
        shape.base = (self.address + shape.kept_first - self.offset) & WORD
        d.seq = self.seq = (d.seq + 1 + c[3].delta()) & WORD
        d.time = self.time = (d.time + c[4].delta()) & WORD
        self.lanes, self.old, self.new, self.final = [], None, None, None
        if shape.size > 64 or shape.lanes:
            self.take_bytes(d)
        else:
            self.take_words(d)
        if shape.final == 1:
            self.final = self.old
        elif shape.final == 2:
            self.final = self.new
        self.regs = d.take_regs(self.site) if shape.flags & HAS_REGS else None
        self.stack = (d.take_stack(self.site)
                      if shape.flags & HAS_STACK else None)

    def take_bytes(self, d):
        shape, at = self.shape, self.address
        for _ in range(shape.lanes):
            at = (at + d.columns[12].delta()) & WORD
            self.lanes.append((at, d.columns[12].varint(),
                               d.columns[12].varint()))
        if shape.flags & READS_OLD:
            self.old = d.columns[11].bytes(shape.size)
        if shape.flags & HAS_NEW:
            self.new = d.columns[11].bytes(shape.size)
        if shape.final == 3:
            self.final = d.columns[11].bytes(shape.size)

    def take_words(self, d):
        parts = ([], [], [])
        for at in range(0, self.shape.size, 8):
            n = min(8, self.shape.size - at)
            words = self.take_word(d, (self.address + at) & WORD, n)
            for part, word in zip(parts, words):
                part.append(word.to_bytes(n, "little"))
        flags = self.shape.flags
        self.old = b"".join(parts[0]) if flags & READS_OLD else None
        self.new = b"".join(parts[1]) if flags & HAS_NEW else None
        if self.shape.final == 3:
            self.final = b"".join(parts[2])

    def take_word(self, d, at, n):
        site, shape, mask = self.site, self.shape, (1 << 8 * n) - 1
        old = new = final = 0
        if shape.flags & READS_OLD:
            guess = d.model.get(shape.range, at, n)
            how = d.columns[7].u8()
            old = d.word(how, mask, n, (guess, site.old + site.old_stride),
                         guess)
            site.old_stride, site.old = (old - site.old) & WORD, old
        if shape.flags & HAS_NEW:
            how = d.columns[8].u8()
            new = d.word(how, mask, n,
                         (old + site.change, old, site.new + site.new_stride),
                         site.new)
            site.change = (new - old) & WORD
            site.new_stride, site.new = (new - site.new) & WORD, new
        if shape.final == 3:
            how = d.columns[9].u8()
            final = d.word(how, mask, n,
                           (site.final + site.final_stride, site.final),
                           site.final)
            site.final_stride = (final - site.final) & WORD
            site.final = final
        if shape.kind in WRITES and shape.final:
            d.model.learn(shape.range, at, (0, old, new, final)[shape.final],
                          n)
        elif shape.flags & READS_OLD:
            d.model.learn(shape.range, at, old, n)
        return old, new, final


class Decoder:
    def __init__(self, chunk):
        src = In(chunk.payload)
        self.time = self.event_time = src.varint()
        self.seq = src.varint()
        self.accesses = src.varint()
        check(self.accesses == chunk.accesses, "accesses of the header")
        check(src.varint() == 20, "20 columns")
        sizes = [src.varint() for _ in range(20)]
        self.columns = [In(src.bytes(size)) for size in sizes]
        check(not src.more(), "more behind the columns")
        self.whos, self.sites, self.shapes, self.stacks = [], [], [], []
        self.who, self.last_number = None, 0
        self.model, self.done, self.records = Model(), 0, chunk.records

    def token(self, column, rows, predicted, make):
        token = self.columns[column].varint()
        if not token:
            check(predicted is not None, "nothing was predicted")
            return predicted
        check(token <= len(rows) + 1, "a row that is not there")
        if token == len(rows) + 1:
            rows.append(make())
        return rows[token - 1]

    def take_who(self):
        table = self.columns[16]
        self.who = self.token(0, self.whos, self.who,
                              lambda: Who(table.varint(), table.varint()))
        return self.who

    def new_site(self):
        self.last_number = (self.last_number +
                            self.columns[17].delta()) & WORD
        return Site(self.last_number)

    def take_site(self, who):
        site = self.token(1, self.sites, who.last and who.last.next,
                          self.new_site)
        if who.last:
            who.last.next = site
        who.last = site
        return site

    def take_shape(self, site):
        site.shape = self.token(2, self.shapes, site.shape,
                                lambda: Shape(self.columns[18]))
        return site.shape

    def take_address(self, site):
        address = (site.address + site.stride + self.columns[5].delta()) & WORD
        if site.seen:
            site.stride = (address - site.address) & WORD
        site.seen, site.address = True, address
        return address

    def take_regs(self, site):
        mask = self.columns[13].varint()
        check(mask < 1 << 18, "registers that are not there")
        for i in range(18):
            d = (self.columns[13].delta() if mask >> i & 1 else
                 site.reg_stride[i])
            site.reg_stride[i] = d
            site.reg[i] = (site.reg[i] + d) & WORD
        return list(site.reg)

    def new_stack(self):
        table, stack, at = self.columns[19], [], 0
        count = table.varint()
        check(count <= 64, "a deep stack")
        for _ in range(count):
            at = (at + table.delta()) & WORD
            stack.append(at)
        return stack

    def take_stack(self, site):
        site.stack = self.token(14, self.stacks, site.stack, self.new_stack)
        return site.stack

    def word(self, how, mask, n, guesses, base):
        """A word: one of the guesses, base and a delta, or n bytes."""
        if how < len(guesses):
            return guesses[how] & mask
        if how == len(guesses):
            return (base + self.columns[10].delta()) & mask
        check(how == len(guesses) + 1, "an unknown way to say a word")
        return int.from_bytes(self.columns[11].bytes(n), "little")

    def take_event(self):
        src = self.columns[15]
        kind = src.u8()
        check(kind in EVENTS, "an unknown event")
        self.event_time = (self.event_time + src.delta()) & WORD
        e = dict(kind=kind, time=self.event_time, process=src.varint())
        if kind == 1:
            e.update(name=src.string(), program=src.varint() - 1)
        elif kind in (2, 7):
            e.update(code=signed(src.delta()))
            if kind == 7:
                e.update(text=src.string())
        elif kind in (3, 4):
            e.update(range=src.varint(), offset=src.varint(),
                     size=src.varint())
            if kind == 3:
                flags = src.u8()
                check(flags < 4, "a flag of BIND that nobody knows")
                e.update(frame=src.varint() if flags & 2 else 0)
                e.update(bytes=src.bytes(e["size"]) if flags & 1 else None)
        elif kind == 5:
            e.update(text=src.string())
        else:
            e.update(count=src.varint(), text=src.string())
        return e

    def each(self):
        """Accesses and events, in order."""
        src, turn = self.columns[15], None
        for _ in range(self.records):
            if turn is None and src.more():
                turn = self.done + src.varint()
            if turn == self.done:
                turn = None
                yield self.take_event(), self.seq
            else:
                check(self.done < self.accesses, "more records than there are")
                access = Access(self)
                self.done += 1
                yield access, self.seq
        check(self.done == self.accesses, "fewer accesses than it says")
        for column in self.columns:
            check(not column.more(), "a column is not read to its end")


# ---- what chunks say about others ----

def pieces(a, ranges):
    """(offset in the range, bytes) of what an access left in kept memory."""
    final = a.final
    if a.shape.kind not in WRITES or final is None:
        return
    if not a.lanes:
        first = a.shape.kept_first
        yield a.offset, final[first:first + a.shape.kept_count]
        return
    # All lanes are placed by the range's address, as far as they lie in it.
    r = ranges[a.shape.range]
    for address, size, at in a.lanes:
        low = max(address, r["address"])
        high = min(address + size, r["address"] + r["length"])
        if low < high:
            yield (low - r["address"],
                   final[at + low - address:at + high - address])


def mix(h):
    h ^= h >> 32
    h = h * 0x9E3779B97F4A7C15 & WORD
    h ^= h >> 29
    h = h * 0xBF58476D1CE4E5B9 & WORD
    return h ^ h >> 32


def in_filter(bits, h):
    if not bits:
        return True
    block = (h >> 32) * (len(bits) // 64) >> 32
    bits = bits[block * 64:block * 64 + 64]
    return all(bits[b // 8] >> b % 8 & 1
               for b in ((h >> 9 * i) & 511 for i in range(6)))


class Stores:
    """Bytes that one chunk stores or binds."""

    def __init__(self):
        self.granules, self.pages = set(), set()

    def store(self, range_id, offset, size):
        for g in range(offset >> 3, (offset + size + 7) >> 3):
            self.granules.add((g, range_id))

    def bind(self, range_id, offset, size):
        for p in range(offset >> 12, (offset + size + 4095) >> 12):
            self.pages.add((p, range_id))

    def compare(self, bits):
        check(len(bits) % 64 == 0, "blocks of 64 bytes")
        for g, r in self.granules:
            check(in_filter(bits, mix((g + r * KEY) & WORD)),
                  "a store that the filter does not know")
        for p, r in self.pages:
            check(in_filter(bits, mix((p + r * KEY + 0xA0761D6478BD642F) &
                                      WORD)),
                  "a bind that the filter does not know")


class Kept:
    """Kept memory as the records tell it, for each process, and for any."""

    ANY = WORD

    def __init__(self):
        self.bytes = {}

    def put(self, process, range_id, offset, data):
        for who in (process, self.ANY):
            known = self.bytes.setdefault((who, range_id), {})
            for i, byte in enumerate(data):
                known[offset + i] = byte

    def compare(self, payload):
        src = In(payload)
        told = {}
        while src.more():
            who, r, offset, n = (src.varint(), src.varint(), src.varint(),
                                 src.varint())
            for i, byte in enumerate(src.bytes(n)):
                told.setdefault((who, r), {})[offset + i] = byte
        mine = {key: known for key, known in self.bytes.items() if known}
        check(told == mine, "a checkpoint that is not what the records say")


# ---- printing ----

def hexed(data):
    return "-" if data is None else data.hex() or "empty"


def show_access(a, names):
    check(a.site.number < len(names.sites), "a site without a name")
    ip, insn, symbol, line, text = names.sites[a.site.number]
    s = a.shape
    print("access", a.time, a.seq, a.who.process, a.who.cpu, "%#x" % ip,
          hexed(insn), s.kind, s.outcome, s.flags & 1, "%#x" % a.address,
          s.size, s.range, a.offset, s.kept_first, s.kept_count,
          hexed(a.old), hexed(a.new), hexed(a.final),
          ",".join("%#x+%d@%d" % lane for lane in a.lanes) or "-",
          ",".join("%x" % r for r in a.regs) if a.regs else "-",
          ",".join("%x" % r for r in a.stack) if a.stack else "-",
          symbol, line, text, sep="\t")


def show_event(e):
    words = [EVENTS[e["kind"]], e["time"], e["process"]]
    for key in ("name", "program", "range", "offset", "size", "count", "code",
                "text"):
        if key in e:
            words.append(e[key])
    if e["kind"] == 3:
        words.append(e["frame"])
        words.append(hexed(e["bytes"]))
    print(*words, sep="\t")


# ---- the file ----

class Trace:
    def __init__(self, data, quiet):
        self.quiet = quiet
        check(data[:16] == b"CUSTOSTR" + struct.pack("<II", 1, 0),
              "no file header of version 1")
        self.data, self.names, self.kept = data, Names(), Kept()
        self.chunks, self.at = [], 16
        self.stores = {}
        self.filters = self.checkpoints = self.inputs = 0

    def records(self, chunk):
        d, stores = Decoder(chunk), Stores()
        seqs, times, flags = [], [], 0
        for record, seq in d.each():
            if isinstance(record, Access):
                seqs.append(record.seq)
                times.append(record.time)
                if not self.quiet:
                    show_access(record, self.names)
                for offset, data in pieces(record, self.names.ranges):
                    stores.store(record.shape.range, offset, len(data))
                    self.kept.put(record.who.process, record.shape.range,
                                  offset, data)
                    flags |= 8
                continue
            times.append(record["time"])
            if not self.quiet:
                show_event(record)
            flags |= {3: 1, 6: 4, 7: 2}.get(record["kind"], 0)
            if record.get("bytes"):
                stores.bind(record["range"], record["offset"], record["size"])
                self.kept.put(record["process"], record["range"],
                              record["offset"], record["bytes"])
                flags |= 8
        check(flags == chunk.flags, "flags %d, not %d" % (chunk.flags, flags))
        if seqs:
            check((min(seqs), max(seqs)) == (chunk.seq_first, chunk.seq_last),
                  "numbers of the header")
        check((min(times), max(times)) == (chunk.time_first, chunk.time_last),
              "times of the header")
        self.stores[chunk.number] = stores

    def chunk(self, chunk):
        if chunk.type == META:
            check(not self.chunks, "META is not the first")
            meta = self.names.meta(In(chunk.payload))
            if not self.quiet:
                print(*meta)
        elif chunk.type == NAMES:
            self.names.names(In(chunk.payload))
        elif chunk.type == RECORDS:
            self.records(chunk)
        elif chunk.type == STORED:
            self.stores.pop(chunk.subject).compare(chunk.payload)
            self.filters += 1
        elif chunk.type == MEMORY:
            self.kept.compare(chunk.payload)
            self.checkpoints += 1
        elif chunk.type == START:
            self.start(In(chunk.payload))
        elif chunk.type == INPUTS:
            src = In(chunk.payload)
            while src.more():
                check(src.u8() > 0, "an input without a kind")
                src.varint()
                src.bytes(src.varint())
                self.inputs += 1

    def start(self, src):
        src.string()
        src.varint()
        check(src.varint() <= 1, "a flag of START that nobody knows")
        src.string()
        src.u64()
        for _ in range(src.varint()):
            src.string()
        for _ in range(src.varint()):
            check(src.varint() in self.names.ranges, "a range without a name")
            check(src.u8() <= 1, "joined or not")
            src.string()

    def index(self, chunk):
        want = b"".join(struct.pack("<Q", c.offset) + c.head
                        for c in self.chunks)
        check(chunk.payload == want, "the index is another file's")
        trailer = self.data[chunk.end:]
        check(len(trailer) == 32 and trailer[:8] == b"TraceEnd", "no trailer")
        offset, size, h = struct.unpack("<QQQ", trailer[8:])
        check((offset, size, h) == (chunk.offset, len(self.data),
                                    hash64(trailer[:24])), "the trailer")

    def read(self):
        while True:
            chunk = Chunk(self.data, self.at)
            check(chunk.number == len(self.chunks), "a chunk is missing")
            try:
                if chunk.type == INDEX:
                    return self.index(chunk)
                self.chunk(chunk)
            except Bad as bad:
                raise Bad("chunk %d: %s" % (chunk.number, bad)) from None
            self.chunks.append(chunk)
            self.at = chunk.end


def main():
    with open(sys.argv[-1], "rb") as file:
        data = file.read()
    try:
        trace = Trace(data, sys.argv[1] == "--quiet")
        trace.read()
        if trace.quiet:
            print("%d filters and %d checkpoints agree with the records" %
                  (trace.filters, trace.checkpoints))
    except Bad as bad:
        sys.stdout.flush()
        print("%s: %s" % (sys.argv[-1], bad), file=sys.stderr)
        sys.exit(1)


main()
