/* SPDX-License-Identifier: MIT */
#define WRONG HEADER(CUSTOS_PLUGIN_MAGIC, CUSTOS_PLUGIN_VERSION, 144)
#include "tests/plugins/wrong.h"
