/* SPDX-License-Identifier: MIT */
/* The vocabulary is public: programs that read traces use it, too. */
#ifndef CUSTOS_TRACE_ACCESS_H
#define CUSTOS_TRACE_ACCESS_H

#include <custos/access.h>

#endif
