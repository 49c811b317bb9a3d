/* SPDX-License-Identifier: MIT */
/*
 * The Common Trace Format 1.8: a directory with `metadata', text that says how
 * `stream' is laid out, and `stream', packets of events. All is aligned to
 * bytes and little endian. Time never goes back in a stream, while a trace's
 * records may be a little out of order between CPUs: an event's own clock is
 * moved forward then, and its field ts says what it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "cli/trace_export.h"

#define PACKET_BYTES (256 << 10) /* a packet ends when it has so many */
#define MAGIC 0xc1fc1fc1u

struct ctf {
	FILE *file;
	uint8_t uuid[16];
	struct buf packet; /* events only */
	uint64_t first, last; /* time of them */
	uint64_t discarded; /* accesses the recorder lost, so far */
};

/* ---- metadata ---- */

static const char metadata_types[] =
	"/* CTF 1.8 */\n"
	"typealias integer { size = 8; align = 8; } := u8;\n"
	"typealias integer { size = 16; align = 8; } := u16;\n"
	"typealias integer { size = 32; align = 8; } := u32;\n"
	"typealias integer { size = 64; align = 8; } := u64;\n"
	"typealias integer { size = 64; align = 8; signed = true; } := s64;\n"
	"typealias integer { size = 64; align = 8; base = 16; } := x64;\n"
	"typealias integer { size = 8; align = 8; base = 16; } := x8;\n";

static const char metadata_stream[] =
	"typealias integer { size = 64; align = 8;"
	" map = clock.run.value; } := clock64;\n"
	"stream {\n"
	"\tid = 0;\n"
	"\tpacket.context := struct { clock64 timestamp_begin;"
	" clock64 timestamp_end; u64 content_size; u64 packet_size;"
	" u64 events_discarded; };\n"
	"\tevent.header := struct { u16 id; clock64 timestamp; };\n"
	"};\n";

static const char metadata_events[] =
	"event { name = \"access\"; id = 0; stream_id = 0; fields := struct {\n"
	"\tu64 _seq; u64 _ts; u64 _pid; string _process; u32 _cpu; x64 _ip;\n"
	"\tx64 _address; u32 _size; enum kind _kind; u8 _atomic;\n"
	"\tenum verdict _verdict; string _range; u64 _offset;\n"
	"\tu32 _kept_first; u32 _kept_count; string _symbol; string _line;\n"
	"\tstring _text;\n"
	"\tu32 __old_length; x8 _old[__old_length];\n"
	"\tu32 __new_length; x8 _new[__new_length];\n"
	"\tu32 __final_length; x8 _final[__final_length];\n"
	"\tu32 __lanes_length; struct { x64 _address; u32 _size;"
	" u32 _offset; } _lanes[__lanes_length];\n"
	"}; };\n"
	"event { name = \"process_start\"; id = 1; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _pid;"
	" string _process; }; };\n"
	"event { name = \"process_exit\"; id = 2; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _pid; s64 _code; }; };\n"
	"event { name = \"bind\"; id = 3; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _pid; u32 _range_id;"
	" u64 _offset; u64 _size; u64 _frame;\n"
	"\tu32 __bytes_length; x8 _bytes[__bytes_length]; }; };\n"
	"event { name = \"unbind\"; id = 4; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _pid; u32 _range_id;"
	" u64 _offset; u64 _size; }; };\n"
	"event { name = \"marker\"; id = 5; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _pid;"
	" string _text; }; };\n"
	"event { name = \"lost\"; id = 6; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; u64 _count;"
	" string _text; }; };\n"
	"event { name = \"end\"; id = 7; stream_id = 0;\n"
	"\tfields := struct { u64 _seq; u64 _ts; s64 _code; }; };\n";

/* A string of the metadata: what is not plain ASCII is left out. */
static void add_quoted(struct buf *out, const char *text)
{
	buf_add_char(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *text >= ' ' && *text <= '~' ? *text : '?');
	}
	buf_add_char(out, '"');
}

static void add_trace(const struct trace_export *e, struct buf *out)
{
	const struct ctf *own = e->own;
	const struct trace_meta *meta = e->meta;

	buf_add_str(out,
		"trace { major = 1; minor = 8; byte_order = le;\n\tuuid = \"");
	for (int i = 0; i < 16; i++)
		buf_printf(out, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			own->uuid[i]);
	buf_add_str(out,
		"\";\n\tpacket.header := struct { u32 magic; u8 uuid[16];"
		" u32 stream_id; };\n};\n"
		"env { tracer_name = \"custos\"; command = ");
	add_quoted(out, meta->command ? meta->command : "");
	buf_add_str(out, "; kvm = ");
	add_quoted(out, meta->kvm ? meta->kvm : "");
	buf_printf(out,
		"; };\nclock { name = run; freq = 1000000000;"
		" offset_s = %" PRIu64 "; offset = %" PRIu64 "; };\n",
		meta->started_ns / 1000000000, meta->started_ns % 1000000000);
}

static void add_enums(struct buf *out)
{
	buf_add_str(out, "enum kind : u8 {");
	for (int i = 0; i < ACCESS_KIND_MAX; i++)
		buf_printf(out, " \"%s\" = %d,",
			access_kind_name((enum access_kind)i), i);
	buf_add_str(out, " };\nenum verdict : u8 {");
	for (int i = 0; i < OUTCOME_MAX; i++)
		buf_printf(out, " \"%s\" = %d,", outcome_name((enum outcome)i),
			i);
	buf_add_str(out, " };\n");
}

static FILE *create(const char *directory, const char *name, struct error *err)
{
	struct buf path = BUF_INIT;
	FILE *f = NULL;

	buf_printf(&path, "%s/%s", directory, name);
	if (path.failed)
		error_set(err, -ENOMEM, "out of memory");
	else if (!(f = fopen(buf_str(&path), "we")))
		error_set_errno(
			err, -errno, "cannot write %s", buf_str(&path));
	buf_fini(&path);
	return f;
}

static int write_metadata(const struct trace_export *e, struct error *err)
{
	struct buf text = BUF_INIT;
	FILE *f = create(e->path, "metadata", err);
	bool ok;

	if (!f)
		return err ? err->code : -EIO;
	buf_add_str(&text, metadata_types);
	add_enums(&text);
	add_trace(e, &text);
	buf_add_str(&text, metadata_stream);
	buf_add_str(&text, metadata_events);
	ok = !text.failed && fwrite(text.data, 1, text.len, f) == text.len;
	buf_fini(&text);
	if (fclose(f) || !ok)
		return error_set(err, -EIO, "cannot write %s/metadata",
			e->path);
	return 0;
}

static void make_uuid(struct trace_export *e)
{
	const char *command = e->meta->command ? e->meta->command : "";
	struct ctf *own = e->own;
	XXH128_hash_t hash = XXH3_128bits_withSeed(
		command, strlen(command), e->meta->started_ns);

	memcpy(own->uuid, &hash, sizeof(own->uuid));
}

static void ctf_free(struct ctf *own)
{
	if (own->file)
		fclose(own->file);
	buf_fini(&own->packet);
	free(own);
}

int trace_ctf_begin(struct trace_export *e, struct error *err)
{
	struct ctf *own = calloc(1, sizeof(*own));
	int ret;

	if (!own)
		return error_set(err, -ENOMEM, "out of memory");
	e->own = own;
	make_uuid(e);
	if (mkdir(e->path, 0777)) {
		ret = error_set_errno(
			err, -errno, "cannot make the directory %s", e->path);
		ctf_free(own);
		return ret;
	}
	ret = write_metadata(e, err);
	if (!ret && !(own->file = create(e->path, "stream", err)))
		ret = err ? err->code : -EIO;
	if (ret)
		ctf_free(own);
	return ret;
}

/* ---- packets ---- */

static void put8(struct buf *out, uint8_t value)
{
	buf_add(out, &value, sizeof(value));
}

static void put16(struct buf *out, uint16_t value)
{
	buf_add(out, &value, sizeof(value));
}

static void put32(struct buf *out, uint32_t value)
{
	buf_add(out, &value, sizeof(value));
}

static void put64(struct buf *out, uint64_t value)
{
	buf_add(out, &value, sizeof(value));
}

static void put_text(struct buf *out, const char *text)
{
	buf_add(out, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void put_bytes(struct buf *out, const uint8_t *bytes, uint64_t size)
{
	put32(out, bytes ? (uint32_t)size : 0);
	if (bytes)
		buf_add(out, bytes, (uint32_t)size);
}

#define PACKET_HEADER (4 + 16 + 4 + 5 * 8)

static int end_packet(struct ctf *own, struct error *err)
{
	struct buf head = BUF_INIT;
	uint64_t bits = (PACKET_HEADER + (uint64_t)own->packet.len) * 8;
	bool ok;

	put32(&head, MAGIC);
	buf_add(&head, own->uuid, sizeof(own->uuid));
	put32(&head, 0);
	put64(&head, own->first);
	put64(&head, own->last);
	put64(&head, bits);
	put64(&head, bits);
	put64(&head, own->discarded);
	ok = !head.failed && !own->packet.failed &&
		fwrite(head.data, 1, head.len, own->file) == head.len &&
		fwrite(own->packet.data, 1, own->packet.len, own->file) ==
			own->packet.len;
	buf_fini(&head);
	buf_reset(&own->packet);
	return ok ? 0 :
		    error_set_errno(err, errno ? -errno : -EIO, "cannot write");
}

/* ---- events ---- */

static void put_access(struct trace_export *e, const struct trace_record *r)
{
	struct buf *out = &((struct ctf *)e->own)->packet;
	const struct access *a = &r->access;
	const struct trace_site *site = trace_export_site(e->reader, r->site);

	put64(out, a->process);
	put_text(out, a->process_name);
	put32(out, a->cpu);
	put64(out, a->ip);
	put64(out, a->address);
	put32(out, a->size);
	put8(out, (uint8_t)a->kind);
	put8(out, a->atomic);
	put8(out, (uint8_t)r->outcome);
	put_text(out, a->range_name);
	put64(out, a->offset);
	put32(out, a->kept_first);
	put32(out, a->kept_count);
	put_text(out, site->symbol);
	put_text(out, site->line);
	put_text(out, site->text);
	put_bytes(out, a->old_bytes, a->size);
	put_bytes(out, a->new_bytes, a->size);
	put_bytes(out, r->final_bytes, a->size);
	put32(out, a->lane_count);
	for (uint32_t i = 0; i < a->lane_count; i++) {
		put64(out, a->lanes[i].address);
		put32(out, a->lanes[i].size);
		put32(out, a->lanes[i].offset);
	}
}

static void put_bound(struct buf *out, const struct trace_record *r)
{
	put64(out, r->process);
	put32(out, r->range);
	put64(out, r->offset);
	put64(out, r->size);
}

static void put_fields(struct trace_export *e, const struct trace_record *r)
{
	struct ctf *own = e->own;
	struct buf *out = &own->packet;

	switch (r->kind) {
	case TRACE_ACCESS:
		put_access(e, r);
		break;
	case TRACE_PROCESS_START:
		put64(out, r->process);
		put_text(out, r->process_name);
		break;
	case TRACE_PROCESS_EXIT:
		put64(out, r->process);
		put64(out, (uint64_t)r->exit_code);
		break;
	case TRACE_BIND:
		put_bound(out, r);
		put64(out, r->frame);
		put_bytes(out, r->bytes, r->size);
		break;
	case TRACE_UNBIND:
		put_bound(out, r);
		break;
	case TRACE_LOST:
		own->discarded += r->count;
		put64(out, r->count);
		put_text(out, r->text);
		break;
	case TRACE_MARKER:
		put64(out, r->process);
		put_text(out, r->text);
		break;
	case TRACE_END:
		put64(out, (uint64_t)r->exit_code);
		break;
	case TRACE_KIND_MAX:
		break;
	}
}

int trace_ctf_record(struct trace_export *e, const struct trace_record *record,
	struct error *err)
{
	struct ctf *own = e->own;

	if (own->last < record->time_ns)
		own->last = record->time_ns;
	if (!own->packet.len)
		own->first = own->last;
	put16(&own->packet, (uint16_t)record->kind);
	put64(&own->packet, own->last);
	put64(&own->packet, record->seq);
	put64(&own->packet, record->time_ns);
	put_fields(e, record);
	return own->packet.len < PACKET_BYTES ? 0 : end_packet(own, err);
}

int trace_ctf_end(struct trace_export *e, bool finished, struct error *err)
{
	struct ctf *own = e->own;
	int ret = 0;

	if (finished && own->packet.len)
		ret = end_packet(own, err);
	if (fclose(own->file) && !ret && finished)
		ret = error_set_errno(err, -errno, "cannot write");
	own->file = NULL;
	ctf_free(own);
	return ret;
}
