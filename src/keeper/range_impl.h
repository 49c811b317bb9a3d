/* SPDX-License-Identifier: MIT */
/* Private to range*.c: a range as text, before names are looked up. */
#ifndef CUSTOS_KEEPER_RANGE_IMPL_H
#define CUSTOS_KEEPER_RANGE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "keeper/range.h"

struct range_text {
	char program[RANGE_NAME_MAX]; /* "": not given */
	bool device;
	char name[RANGE_NAME_MAX]; /* symbol or device; "": an address */
	bool whole; /* the whole symbol: no offset and length given */
	uint64_t start; /* offset into the symbol, or address */
	uint64_t length;
};

/* -EINVAL with a sentence that quotes text. */
int range_parse(const char *text, struct range_text *out, struct error *err);

#endif
