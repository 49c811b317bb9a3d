/* SPDX-License-Identifier: MIT */
/*
 * The guest's RAM: one memfd mapped twice. Mapping A (guest) backs the slot
 * the guest sees; closed pages are PROT_NONE there. Mapping B (bytes) is the
 * monitor's own, always open. No KVM in here, so that what is decided about
 * guest addresses can be tested without it.
 */
#ifndef CUSTOS_VMM_RAM_H
#define CUSTOS_VMM_RAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ram {
	int fd;
	uint64_t size; /* multiple of 2 MiB */
	uint8_t *guest; /* A */
	uint8_t *bytes; /* B */
	/* One bit per frame, for readers without the lock. */
	_Atomic uint64_t *closed;
	/* The guest's copy of it (custos_boot_info.kept_map), in B; NULL
	 * until boot placed it. */
	_Atomic uint8_t *kept_map;
	pthread_mutex_t lock; /* serializes open and close */
	uint64_t closed_count; /* under lock */
};

/* size is rounded up to 2 MiB; at most CUSTOS_RAM_MAX. */
int vmm_ram_init(struct ram *ram, uint64_t size, struct error *err);
void vmm_ram_fini(struct ram *ram);

/*
 * The one door to guest memory: where guest-physical [gpa, gpa + len) is in B,
 * or NULL when any byte of it is not RAM. len may be 0 inside RAM.
 */
uint8_t *vmm_gpa_range(const struct ram *ram, uint64_t gpa, uint64_t len);

/* Reads an aligned 8-byte word as the CPU does; for page walks (ctx: ram). */
bool vmm_ram_read_word(void *ram, uint64_t gpa, uint64_t *out);

bool vmm_ram_is_closed(const struct ram *ram, uint64_t gpa);

/* Close or open the frame at gpa, which is RAM; idempotent. */
int vmm_ram_close(struct ram *ram, uint64_t gpa, struct error *err);
int vmm_ram_open(struct ram *ram, uint64_t gpa, struct error *err);

#endif
