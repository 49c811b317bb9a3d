/* SPDX-License-Identifier: MIT */
#include "cli/replay_scan.h"

#include <custos/decode.h>
#include <string.h>

#include "cli/run_describe.h"

enum source { SOURCE_NONE, SOURCE_TSC, SOURCE_RANDOM, SOURCE_COUNTER };

static const char *const source_names[] = {
	[SOURCE_TSC] = "the TSC",
	[SOURCE_RANDOM] = "the CPU's random numbers",
	[SOURCE_COUNTER] = "performance counters",
};

/* SDM vol. 2: 66, F2, F3 and REX may stand before these. */
static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0xf2 || byte == 0xf3 ||
		(byte & 0xf0) == 0x40;
}

static enum source source_of(const struct insn *insn)
{
	const uint8_t *at = insn->bytes, *end = at + insn->length;

	while (at < end && is_prefix(*at))
		at++;
	if (end - at < 2 || *at++ != 0x0f)
		return SOURCE_NONE;
	if (*at == 0x31)
		return SOURCE_TSC;
	if (*at == 0x33)
		return SOURCE_COUNTER;
	if (end - at < 2)
		return SOURCE_NONE;
	if (at[0] == 0x01 && at[1] == 0xf9)
		return SOURCE_TSC;
	/* /6 rdrand, /7 rdseed, with a register. */
	if (at[0] == 0xc7 && at[1] >= 0xf0)
		return SOURCE_RANDOM;
	return SOURCE_NONE;
}

/* Where time is virtual and the KVM traps it, the guest's kernel answers. */
static bool is_answered(const struct run *run, enum source source)
{
	return source == SOURCE_TSC && run->options.virtual_time &&
		strcmp(run_kvm_name(), "pvm");
}

static void tell(struct replay *replay, const struct image *image,
	enum source source, const struct insn *insn, uint64_t address)
{
	struct buf where = BUF_INIT;
	char text[64];
	const char *file;
	int line;

	if (is_answered(&replay->run, source))
		return;
	decode_text(insn, address, text, sizeof(text));
	image_describe(image, address, &where);
	if (image_line_at(image, address, &file, &line)) {
		const char *slash = strrchr(file, '/');

		buf_printf(&where, " (%s:%d)", slash ? slash + 1 : file, line);
	}
	replay_note(replay,
		"%s has `%s' at 0x%llx, %s: what it reads, %s, is not replayed",
		image_name(image), text, (unsigned long long)address,
		buf_str(&where), source_names[source]);
	buf_fini(&where);
}

/* Each source is named once, where it is met first. */
static void scan_segment(struct replay *replay, const struct image *image,
	const struct image_segment *segment, bool *told)
{
	uint64_t at = 0;

	while (at < segment->file_size) {
		uint64_t left = segment->file_size - at;
		struct insn insn;
		enum source source;

		if (decode_insn(segment->data + at,
			    left < ARCH_INSN_MAX ? left : ARCH_INSN_MAX,
			    &insn)) {
			at++;
			continue;
		}
		source = source_of(&insn);
		if (source != SOURCE_NONE && !told[source]) {
			told[source] = true;
			tell(replay, image, source, &insn,
				segment->address + at);
		}
		at += insn.length;
	}
}

void replay_scan_program(struct replay *replay, const struct image *image)
{
	bool told[sizeof(source_names) / sizeof(source_names[0])] = { false };

	for (unsigned i = 0; i < image_segment_count(image); i++) {
		const struct image_segment *segment = image_segment(image, i);

		if (segment->flags & IMAGE_EXEC)
			scan_segment(replay, image, segment, told);
	}
}
