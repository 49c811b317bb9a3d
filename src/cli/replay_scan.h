/* SPDX-License-Identifier: MIT */
/* Instructions whose results nobody can record. */
#ifndef CUSTOS_CLI_REPLAY_SCAN_H
#define CUSTOS_CLI_REPLAY_SCAN_H

#include "cli/replay.h"

/* Name those of a program that may read other values than in the recorded
 * run. */
void replay_scan_program(struct replay *replay, const struct image *image);

/* replay_again.c: tell people or programs. */
void replay_note(struct replay *replay, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
