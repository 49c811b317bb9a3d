/* SPDX-License-Identifier: MIT */
/* Specifications of ranges: refused, or inside user memory and disjoint. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/invariant.h"
#include "keeper/range.h"
#include "tests/unit/keeper/fake_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pair(const struct range *a, const struct range *b)
{
	if (a->device || b->device)
		invariant(!a->device || !b->device ||
			strcmp(a->device_name, b->device_name));
	else
		invariant(a->image != b->image ||
			!ranges_overlap(
				a->address, a->length, b->address, b->length));
}

/* Lines of text, each a range for the same set. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct range_set *set = range_set_create();
	char *text = calloc(1, size + 1), *save, *line;
	struct error err;

	memcpy(text, data, size);
	for (line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		struct range *range = NULL;

		if (range_set_add(set, line, fake_images, 2, NULL,
			    VERDICT_PASS, &range, &err))
			continue;
		invariant(range->length);
		invariant(range->device ||
			checked_range(range->address, range->length,
				UINT64_C(0x7ffffffff000)));
		for (size_t i = 0; i + 1 < range_set_count(set); i++)
			check_pair(range, range_set_get(set, i));
	}
	free(text);
	range_set_destroy(set);
	return 0;
}
