/* SPDX-License-Identifier: MIT */
#define WRONG HEADER(CUSTOS_PLUGIN_MAGIC, CUSTOS_PLUGIN_VERSION, 136)
#define WRONG_TOLD NULL
#include "tests/plugins/wrong.h"
