/* SPDX-License-Identifier: MIT */
/*
 * The end of objects, whatever their type: nothing leads to the frame any more,
 * whoever waited for the object is told, then the frame goes back to its bank.
 * Bounded work; true when done, false when it must be called again (a process
 * that still runs on another CPU). Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_OBJECT_H
#define CUSTOS_KERNEL_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

bool object_destroy(uint64_t gpa);

/* The same but for TLBs and the frame. From the first call on every capability
 * to the object is Null: its frame has another generation already when the
 * functions of the types are called. */
bool object_end(uint64_t gpa);

/* A frame of zeros becomes an object of the type (process.h has its own). In
 * the file of the type. */
void gpt_begin(uint64_t gpa);
void endpoint_begin(uint64_t gpa);
void buffer_begin(uint64_t gpa);

/* Each type's own part, in the file of the type. Afterwards the object is not
 * in any list and no translation leads to it; object_destroy frees it. */
bool page_end(uint64_t gpa);
bool cappage_end(uint64_t gpa);
bool gpt_end(uint64_t gpa);
bool endpoint_end(uint64_t gpa);
bool process_object_end(uint64_t gpa);
bool buffer_end(uint64_t gpa);
bool table_end(uint64_t gpa);

#endif
