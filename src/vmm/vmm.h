/* SPDX-License-Identifier: MIT */
/*
 * A target that is a virtual machine under KVM. Everything but making one is
 * done through target.h; nothing else in custos knows KVM.
 */
#ifndef CUSTOS_VMM_VMM_H
#define CUSTOS_VMM_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "target/target.h"

/* Addresses without RAM behind them: every access is a keeper's to answer. */
struct vmm_device {
	const char *name;
	uint64_t size; /* bytes; rounded up to pages */
};

/* Nothing but the images need outlive vmm_create(). */
struct vmm_config {
	unsigned cpus; /* 1..16 */
	uint64_t memory; /* bytes of RAM; rounded up to 2 MiB */
	const struct image *kernel; /* NULL: the one inside custos */
	const struct image *const *modules; /* programs; [0] is started */
	unsigned module_count;
	const struct vmm_device *devices;
	unsigned device_count;
	const char *const *args; /* of module 0, its name first */
	unsigned arg_count;
	/* Module 0 finds these bytes, read-only, at data_va, a page. */
	const void *data;
	uint64_t data_size, data_va;
	/* Time is counted in kernel entries: see CUSTOS_BOOT_VIRTUAL_TIME. */
	bool virtual_time;
	/* See CUSTOS_BOOT_NO_SHARING. */
	bool no_table_sharing;
	/* handler->turn is told, or asked, whose work in the guest's kernel is
	 * next: see CUSTOS_BOOT_ORDERED. With virtual time only. */
	bool ordered, repeated;
	/* The guest's console: console() when set, else console_fd, which
	 * stays the caller's; -1: nowhere. One call at a time. */
	int console_fd;
	void (*console)(void *ctx, const void *bytes, size_t len);
	void *console_ctx;
};

#define VMM_CONFIG_INIT                                                        \
	((struct vmm_config){ .cpus = 1,                                       \
		.memory = UINT64_C(64) << 20,                                  \
		.console_fd = 1 })

/*
 * Make a machine, loaded and ready to run. Refused with a sentence: KVM not
 * there or not usable (-ENOENT, -EACCES, -ENODEV, ...), cpus or memory out of
 * range, too many modules, devices or arguments, a program or kernel that does
 * not fit where it wants to be (-EINVAL, -E2BIG, -ENOMEM).
 */
int vmm_create(const struct vmm_config *config, struct target **out,
	struct error *err);

/* What happened, for summaries and tests. */
struct vmm_stats {
	uint64_t access_stops; /* calls of handler->access */
	uint64_t steps; /* single steps that retired */
	uint64_t views_built; /* private views made for them */
	uint64_t xsaves; /* XSAVE and XRSTOR finished for KVM */
	/* Accesses to closed pages that no keeper was asked about: by the
	 * guest kernel, and by user code that KVM itself emulated. */
	uint64_t kernel_accesses;
	uint64_t missed_accesses;
};
void vmm_get_stats(const struct target *target, struct vmm_stats *out);

/* Is this target one of ours? */
bool vmm_is_vm(const struct target *target);

#endif
