/* SPDX-License-Identifier: MIT */
/* See object.h. */
#include "object.h"

#include "bank.h"
#include "frame.h"
#include "page.h"
#include "panic.h"
#include "table.h"

/* Its page has no keeper any more. */
static bool attributes_end(uint64_t gpa)
{
	uint32_t page = frame_info(gpa)->producer;

	frame_info(frame_gpa(page))->attributes = 0;
	return true;
}

static bool end(uint64_t gpa, enum frame_type type)
{
	switch (type) {
	case FRAME_PAGE:
		return page_end(gpa);
	case FRAME_CAPPAGE:
		return cappage_end(gpa);
	case FRAME_GPT:
		return gpt_end(gpa);
	case FRAME_ENDPOINT:
		return endpoint_end(gpa);
	case FRAME_PROCESS:
		return process_object_end(gpa);
	case FRAME_BUFFER:
		return buffer_end(gpa);
	case FRAME_TABLE:
		return table_end(gpa);
	case FRAME_ATTRIBUTES:
		return attributes_end(gpa);
	default:
		invariant(type == FRAME_PAGE); /* objects of banks only */
		return false;
	}
}

bool object_end(uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);

	info->generation = frame_new_generation();
	table_changed();
	return end(gpa, info->type);
}

bool object_destroy(uint64_t gpa)
{
	if (!object_end(gpa))
		return false;
	table_flush();
	bank_free(gpa);
	return true;
}
