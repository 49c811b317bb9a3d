/* SPDX-License-Identifier: MIT */
/* Can this machine run virtual machines, and how well? Changes nothing. */
#ifndef CUSTOS_VMM_PROBE_H
#define CUSTOS_VMM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum probe_status { PROBE_OK, PROBE_WARN, PROBE_FAIL, PROBE_STATUS_MAX };

struct probe_check {
	const char *name; /* one word */
	enum probe_status status;
	char detail[512]; /* what was found */
	char advice[512]; /* what to do about it; "" when nothing */
};

#define PROBE_CHECKS_MAX 16

struct probe {
	struct probe_check checks[PROBE_CHECKS_MAX];
	size_t count;
	bool usable; /* no check failed */
};

/*
 * Make all checks on the KVM at path (NULL: /dev/kvm), the last of which run
 * a small guest. A check that makes no sense after one that failed is left
 * out. Takes less than ten seconds.
 */
void vmm_probe(const char *path, struct probe *out);

/* "ok", "warning", "failed" */
const char *vmm_probe_status_name(enum probe_status status);

#endif
