/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_words.h"

#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 8
#define WORDS_MAX 4096

struct word_key {
	uint64_t range, index;
};

struct word {
	struct word_key key;
	struct builtin_clock *clock; /* NULL: no memory */
};

void builtin_words_init(struct builtin_words *words)
{
	*words = (struct builtin_words){ .count = 0 };
	words->clocks.entry_size = sizeof(struct word);
	words->clocks.key_size = sizeof(struct word_key);
}

void builtin_words_fini(struct builtin_words *words)
{
	for (size_t i = 0; i < words->clocks.count; i++) {
		struct word *word = builtin_map_at(&words->clocks, i);

		free(word->clock);
	}
	builtin_map_fini(&words->clocks);
}

bool builtin_words_has(const struct builtin_words *words, uint32_t range)
{
	for (unsigned i = 0; i < words->count; i++)
		if (words->ranges[i] == range)
			return true;
	return false;
}

/* NULL: order has been lost. */
static struct builtin_clock *find_word(
	struct builtin_words *words, uint32_t range, uint64_t at)
{
	const struct word_key key = { range, at / WORD_SIZE };
	struct word *word = builtin_map_find(&words->clocks, &key);

	if (!word && words->clocks.count < WORDS_MAX) {
		word = builtin_map_get(&words->clocks, &key);
		if (word)
			word->clock = calloc(1, sizeof(*word->clock));
	}
	return word ? word->clock : NULL;
}

bool builtin_words_is_change(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes)
{
	uint32_t first = access->kept_first;

	return builtin_is_stored(access, outcome, final_bytes) &&
		(access->kind != ACCESS_RMW ||
			memcmp(access->old_bytes + first, final_bytes + first,
				access->kept_count) != 0);
}

void builtin_words_told(struct builtin_words *words,
	struct builtin_clocks *clocks, unsigned slot,
	const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes)
{
	uint64_t end = access->offset + access->kept_count;
	bool releases = builtin_words_is_change(access, outcome, final_bytes);

	for (uint64_t at = access->offset - access->offset % WORD_SIZE;
		at < end; at += WORD_SIZE) {
		struct builtin_clock *word =
			find_word(words, access->range, at);

		if (!word) {
			clocks->lost = true;
			return;
		}
		if (access_reads(access->kind))
			builtin_clocks_acquire(clocks, slot, word);
		if (releases)
			builtin_clocks_release(clocks, slot, word);
	}
}
