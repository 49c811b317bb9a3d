/* SPDX-License-Identifier: MIT */
/* What is in the memory that both programs see. */
#ifndef CUSTOS_EXAMPLES_TWO_PROGRAMS_SHARED_H
#define CUSTOS_EXAMPLES_TWO_PROGRAMS_SHARED_H

#include <stdint.h>

struct shared {
	char text[64]; /* given by the description */
	uint64_t count;
};

#define WRITER_VA ((volatile struct shared *)0x10000000)
#define READER_VA ((const volatile struct shared *)0x20000000)

#endif
