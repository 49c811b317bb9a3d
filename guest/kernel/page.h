/* SPDX-License-Identifier: MIT */
/*
 * Pages with a keeper: a frame of attributes beside the page's, paid by the
 * page's bank. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_PAGE_H
#define CUSTOS_KERNEL_PAGE_H

#include "cap.h"

/* What a FRAME_ATTRIBUTES frame holds; its info's producer is the page. */
struct page_attributes {
	struct cap keeper; /* entry */
	uint32_t rights;   /* accesses it is asked about */
};

/* Accesses to the page of gpa (CUSTOS_RIGHT_READ, WRITE, EXEC) its keeper is
 * asked about: no translation may allow them, even when the keeper's endpoint
 * is gone. 0: none, or no keeper. Any gpa. */
unsigned page_kept(uint64_t gpa);

/* The keeper of a page that page_kept says has one. */
const struct cap *page_keeper(uint64_t gpa);

#endif
