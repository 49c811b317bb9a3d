/* SPDX-License-Identifier: MIT */
#define WRONG HEADER(CUSTOS_PLUGIN_MAGIC, CUSTOS_PLUGIN_VERSION + 1, 136)
#include "tests/plugins/wrong.h"
