/* SPDX-License-Identifier: MIT */
/*
 * Host trouble as a value: a code and a sentence. Functions that can meet host
 * trouble return 0 or -errno and, where the caller may want to show it, fill a
 * struct error. Guest misbehaviour is never one of these (it is an event for a
 * keeper), nor are our own bugs (invariant.h).
 */
#ifndef CUSTOS_BASE_ERROR_H
#define CUSTOS_BASE_ERROR_H

#define ERROR_TEXT_MAX 1024

struct error {
	int code; /* 0: none; else -errno, the value the function returned */
	char text[ERROR_TEXT_MAX]; /* complete sentence parts, no newline end */
};

/*
 * Describe a failure: what was tried, what failed, what the user can do.
 * code is -errno and is returned, so that `return error_set(...)` reads well.
 * err may be NULL (the code alone is returned). Over-long text is cut.
 */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set(), and appends ": " and the system's text for code. */
int error_set_errno(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Put context before what err already says: "FORMAT: old text". Returns
 * err->code, or 0 when err is NULL.
 */
int error_prefix(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
