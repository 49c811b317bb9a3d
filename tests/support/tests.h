/* SPDX-License-Identifier: MIT */
/* The one place that knows cmocka's include order. */
#ifndef CUSTOS_TESTS_TESTS_H
#define CUSTOS_TESTS_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
