/* SPDX-License-Identifier: MIT */
#define WRONG HEADER(1, CUSTOS_PLUGIN_VERSION, 136)
#include "tests/plugins/wrong.h"
