/* SPDX-License-Identifier: MIT */
/*
 * Records as columns. What a program does to memory repeats itself, so most
 * fields of most records are what they were predicted to be: writer and reader
 * keep the same state and the columns hold only where they erred. All state
 * begins anew with every chunk, so that each can be decoded on its own.
 *
 * What is predicted from what is told in docs/TRACE-FORMAT.md, section
 * "Records"; the state below is the one described there.
 */
#ifndef CUSTOS_TRACE_TRACE_CODEC_H
#define CUSTOS_TRACE_TRACE_CODEC_H

#include <custos/trace.h>

#include "trace/trace_pack.h"

/* In the order of the file. */
enum trace_column {
	COLUMN_WHO,
	COLUMN_SITE,
	COLUMN_SHAPE,
	COLUMN_SEQ,
	COLUMN_TIME,
	COLUMN_ADDRESS,
	COLUMN_OFFSET,
	COLUMN_OLD,
	COLUMN_NEW,
	COLUMN_FINAL,
	COLUMN_VALUE,
	COLUMN_BYTES,
	COLUMN_LANE,
	COLUMN_REGS,
	COLUMN_STACK,
	COLUMN_EVENT,
	COLUMN_WHO_TABLE,
	COLUMN_SITE_TABLE,
	COLUMN_SHAPE_TABLE,
	COLUMN_STACK_TABLE,
	COLUMN_MAX
};

/* Bytes of an access are predicted word by word up to this size. */
#define CODEC_WORDS_MAX 64

/* ---- what is known of memory ---- */

#define MODEL_BITS 16

struct model_word {
	uint64_t key, value;
	uint64_t epoch;
};

struct model {
	uint64_t epoch;
	struct model_word words[(size_t)1 << MODEL_BITS];
};

static inline uint64_t word_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

static inline struct model_word *model_slot(
	struct model *model, uint32_t range, uint64_t granule, uint64_t *key)
{
	*key = granule + range * UINT64_C(0xd6e8feb86659fd93);
	return &model->words[*key * UINT64_C(0x9e3779b97f4a7c15) >>
		(64 - MODEL_BITS)];
}

static inline uint64_t model_get_word(
	struct model *model, uint32_t range, uint64_t granule)
{
	uint64_t key;
	const struct model_word *w = model_slot(model, range, granule, &key);

	return w->epoch == model->epoch && w->key == key ? w->value : 0;
}

/* size at most 8 bytes from address; unknown ones are 0. */
static inline uint64_t model_get(struct model *model, uint32_t range,
	uint64_t address, unsigned size)
{
	unsigned at = address & 7;
	uint64_t value =
		model_get_word(model, range, address >> 3) >> (at * 8);

	if (at + size > 8)
		value |= model_get_word(model, range, (address >> 3) + 1)
			<< (64 - at * 8);
	return value & word_mask(size);
}

static inline void model_put_word(struct model *model, uint32_t range,
	uint64_t granule, uint64_t mask, uint64_t value)
{
	uint64_t key;
	struct model_word *w = model_slot(model, range, granule, &key);

	if (w->epoch != model->epoch || w->key != key)
		*w = (struct model_word){ .key = key, .epoch = model->epoch };
	w->value = (w->value & ~mask) | (value & mask);
}

static inline void model_put(struct model *model, uint32_t range,
	uint64_t address, unsigned size, uint64_t value)
{
	unsigned at = address & 7;
	uint64_t mask = word_mask(size);

	model_put_word(
		model, range, address >> 3, mask << (at * 8), value << (at * 8));
	if (at + size > 8)
		model_put_word(model, range, (address >> 3) + 1,
			mask >> (64 - at * 8), value >> (64 - at * 8));
}

/* ---- what is known of who, where and what ---- */

struct codec_who {
	uint64_t process;
	uint32_t cpu;
	uint32_t site; /* local number + 1 of its last; 0: none */
};

struct codec_site {
	uint32_t site; /* number in the whole trace */
	uint32_t next; /* local number + 1 of what followed it; 0: nothing */
	uint32_t shape, stack; /* number + 1 of its last; 0: none */
	uint64_t address, stride;
	uint64_t old, old_stride;
	uint64_t new, new_stride;
	uint64_t change; /* new - old */
	uint64_t final, final_stride;
};

struct codec_regs {
	uint64_t last[TRACE_REGS], stride[TRACE_REGS];
};

enum codec_final { FINAL_NONE, FINAL_OLD, FINAL_NEW, FINAL_OWN };

#define BIND_BYTES 1
#define BIND_FRAME 2
#define SHAPE_ATOMIC 1
#define SHAPE_OLD 2 /* has old bytes */
#define SHAPE_NEW 4
#define SHAPE_REGS 8
#define SHAPE_STACK 16
#define SHAPE_FLAGS 31

struct codec_shape {
	uint32_t size, kept_first, kept_count, range;
	uint32_t lane_count;
	uint8_t kind, outcome, flags, final;
};

static inline bool shape_is_words(const struct codec_shape *shape)
{
	return shape->size <= CODEC_WORDS_MAX && !shape->lane_count;
}

/* Bytes of a value as words of eight, the last of what is left. */
static inline uint64_t word_load(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	if (size == 8)
		memcpy(&value, bytes, 8);
	else if (size == 4)
		memcpy(&value, bytes, 4);
	else
		memcpy(&value, bytes, size);
	return value;
}

/* Difference of two numbers of size bytes, sign-extended. */
static inline uint64_t word_delta(uint64_t a, uint64_t b, unsigned size)
{
	unsigned shift = 64 - size * 8;

	return (uint64_t)((int64_t)((a - b) << shift) >> shift);
}

/* How a word was predicted. */
enum word_mode {
	OLD_MODEL = 0, /* what memory was last seen to hold */
	OLD_STRIDE, /* as the last word here, and as much on */
	OLD_DELTA, /* model + VALUE */
	OLD_RAW,
	NEW_CHANGE = 0, /* old + what the last changed by */
	NEW_OLD,
	NEW_STRIDE,
	NEW_DELTA, /* the last new + VALUE */
	NEW_RAW,
	FINAL_STRIDE = 0,
	FINAL_LAST,
	FINAL_DELTA, /* the last final + VALUE */
	FINAL_RAW,
};

/* ---- writing ---- */

struct trace_encoder;

struct trace_encoder *trace_encoder_create(void); /* NULL: out of memory */
void trace_encoder_destroy(struct trace_encoder *encoder);

/* Begin a chunk after access seq, at time_ns or later. */
void trace_encoder_begin(
	struct trace_encoder *encoder, uint64_t seq, uint64_t time_ns);

/* Add a record; its site is set. False: out of memory, the chunk is lost. */
bool trace_encoder_add(
	struct trace_encoder *encoder, const struct trace_record *record);

struct codec_counts {
	uint32_t records, accesses;
	uint64_t seq_first, seq_last; /* of accesses; else the one before */
	uint64_t time_first, time_last;
	bool binds, ended, lost;
};
const struct codec_counts *trace_encoder_counts(
	const struct trace_encoder *encoder);
size_t trace_encoder_size(const struct trace_encoder *encoder); /* about */

/* The payload of what was added. */
void trace_encoder_finish(
	struct trace_encoder *encoder, struct pack_out *payload);

/* ---- reading ---- */

struct trace_decoder;

struct trace_decoder *trace_decoder_create(void); /* NULL: out of memory */
void trace_decoder_destroy(struct trace_decoder *decoder);

/* Begin a payload, which must stay, of so many records. -EBADMSG, -ENOMEM. */
int trace_decoder_begin(struct trace_decoder *decoder, const uint8_t *payload,
	size_t len, uint32_t records);

/*
 * The next record; what it points to is valid until the next. Of the access,
 * everything but what belongs to the site and names (ip, insn, range_name,
 * process_name). 1, 0 at the end, -EBADMSG, -ENOMEM.
 */
int trace_decoder_next(
	struct trace_decoder *decoder, struct trace_record *out);

#endif
