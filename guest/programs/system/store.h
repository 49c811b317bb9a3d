/* SPDX-License-Identifier: MIT */
/* Capabilities by the numbers of their objects: more than there are slots. */
#ifndef CUSTOS_SYSTEM_STORE_H
#define CUSTOS_SYSTEM_STORE_H

#include <stdint.h>

/* Keep what is in slot under this number, in place of what was. 0 or
 * -CUSTOS_E_*. */
int64_t store_put(uint32_t object, uint32_t slot);

/* A slot with what was put under the number, for cap_slot_free(); or
 * -CUSTOS_E_*. */
int64_t store_get(uint32_t object);

#endif
