/* SPDX-License-Identifier: MIT */
/*
 * Words that order: locks, flags, counters. Whoever loads one, or changes it
 * atomically, comes after those who stored to it or changed it before.
 */
#ifndef CUSTOS_KEEPER_BUILTIN_WORDS_H
#define CUSTOS_KEEPER_BUILTIN_WORDS_H

#include "keeper/builtin.h"
#include "keeper/builtin_clock.h"
#include "keeper/builtin_map.h"

struct builtin_words {
	uint32_t ranges[BUILTIN_RANGES_MAX]; /* ids */
	unsigned count;
	struct builtin_map clocks;
};

void builtin_words_init(struct builtin_words *words);
void builtin_words_fini(struct builtin_words *words);

bool builtin_words_has(const struct builtin_words *words, uint32_t range);

/* An access to one of them, of the process in this slot, as told() gets it
 * and performed. */
void builtin_words_told(struct builtin_words *words,
	struct builtin_clocks *clocks, unsigned slot,
	const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes);

/* Did it store, and, if it is a read-modify-write, something else than was
 * there? (A spin at somebody else's lock tells nobody anything.) */
bool builtin_words_is_change(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes);

#endif
