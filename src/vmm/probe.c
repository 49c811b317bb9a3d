/* SPDX-License-Identifier: MIT */
#include "vmm/probe.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/invariant.h"
#include "vmm/kvm.h"
#include "vmm/selftest.h"

#define MAPPINGS_COMFORTABLE 65530

/* What later checks build upon. */
struct probing {
	const char *path;
	struct kvm kvm;
};

static enum probe_status set(struct probe_check *check,
	enum probe_status status, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static enum probe_status set(struct probe_check *check,
	enum probe_status status, const char *advice, const char *format, ...)
{
	va_list args;

	check->status = status;
	snprintf(check->advice, sizeof(check->advice), "%s", advice);
	va_start(args, format);
	vsnprintf(check->detail, sizeof(check->detail), format, args);
	va_end(args);
	return status;
}

/* ---- the checks ---- */

static void cpu_name(char name[13])
{
	unsigned eax, words[3] = { 0 };

	__cpuid(0, eax, words[0], words[2], words[1]);
	memcpy(name, words, 12);
	name[12] = '\0';
}

static bool has_feature(unsigned leaf, unsigned bit)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) && (ecx >> bit & 1);
}

static enum probe_status check_cpu(struct probing *p, struct probe_check *check)
{
	struct utsname system;
	char name[13];

	(void)p;
	cpu_name(name);
	uname(&system);
	return set(check, PROBE_OK, "",
		"%s on Linux %s (%s), %s, %ld CPUs online%s", name,
		system.release, system.machine,
		has_feature(1, 5)		   ? "VMX" :
			has_feature(0x80000001, 2) ? "SVM" :
						     "neither VMX nor SVM seen",
		sysconf(_SC_NPROCESSORS_ONLN),
		has_feature(1, 31) ? ", itself a virtual machine" : "");
}

static enum probe_status check_device(
	struct probing *p, struct probe_check *check)
{
	struct error err = { 0 };

	if (vmm_kvm_open(&p->kvm, p->path, &err))
		return set(check, PROBE_FAIL,
			access(p->path, F_OK) ?
				"switch virtualization on in the firmware, or "
				"nesting in the machine around this one, and "
				"load kvm_intel or kvm_amd; `make demo' and "
				"`make check-svm' work without, in QEMU" :
				"join the group that owns it (ls -l /dev/kvm)",
			"%s", err.text);
	return set(check, PROBE_OK, "", "%s opens", p->path);
}

static bool has_module(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !access(path, F_OK);
}

static enum probe_status check_kind(
	struct probing *p, struct probe_check *check)
{
	(void)p;
	if (has_module("kvm_pvm"))
		return set(check, PROBE_WARN,
			"nothing to do; keep guest kernel work small",
			"pvm: user code runs natively, guest kernel code is "
			"emulated (some 1000 times slower); user code reads "
			"the host's TSC and CPUID");
	if (has_module("kvm_intel"))
		return set(check, PROBE_OK, "", "VMX (kvm_intel)");
	if (has_module("kvm_amd"))
		return set(check, PROBE_OK, "", "SVM (kvm_amd)");
	return set(check, PROBE_WARN, "run the tests: make check",
		"a kind custos was not tried on");
}

static enum probe_status check_capabilities(
	struct probing *p, struct probe_check *check)
{
	struct buf missing = BUF_INIT;
	struct error err = { 0 };

	if (vmm_kvm_check_all(&p->kvm, &err))
		return set(check, PROBE_FAIL,
			"use a newer Linux (5.15 or later has them all)", "%s",
			err.text);
	for (size_t i = 0; i < vmm_kvm_need_count; i++)
		if (vmm_kvm_needs[i].optional &&
			vmm_kvm_check(&p->kvm, &vmm_kvm_needs[i]) < 0)
			buf_printf(&missing, "; without %s (%s)",
				vmm_kvm_needs[i].name,
				vmm_kvm_needs[i].purpose);
	set(check, PROBE_OK, "", "all %zu that custos asks for%s",
		vmm_kvm_need_count, buf_str(&missing));
	buf_fini(&missing);
	return PROBE_OK;
}

static enum probe_status check_guest_cpu(
	struct probing *p, struct probe_check *check)
{
	struct error err = { 0 };

	if (vmm_kvm_read_cpuid(&p->kvm, &err))
		return set(check, PROBE_FAIL, "use another machine", "%s",
			err.text);
	return set(check, PROBE_OK, "",
		"%u bits of physical address, vector state of %u bytes (%s)",
		p->kvm.phys_bits, p->kvm.xsave_size,
		p->kvm.xcr0 & 0xe0	? "AVX-512" :
			p->kvm.xcr0 & 4 ? "AVX" :
					  "SSE");
}

static enum probe_status check_mappings(
	struct probing *p, struct probe_check *check)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	long count = 0;

	(void)p;
	if (!file || fscanf(file, "%ld", &count) != 1)
		count = 0;
	if (file)
		fclose(file);
	if (count && count < MAPPINGS_COMFORTABLE)
		return set(check, PROBE_WARN,
			"sudo sysctl vm.max_map_count=262144",
			"vm.max_map_count is %ld: each kept page that has no "
			"kept neighbour takes two mappings",
			count);
	return set(check, PROBE_OK, "",
		"%ld mappings, enough to keep some %ld single pages", count,
		count / 2);
}

static enum probe_status check_guest(
	struct probing *p, struct probe_check *check)
{
	struct selftest result;
	struct error err = { 0 };

	if (strcmp(p->path, vmm_kvm_path()))
		return set(check, PROBE_WARN, "", "not tried on %s", p->path);
	if (vmm_selftest(&result, &err))
		return set(check, PROBE_FAIL,
			"please report this with the lines above", "%s",
			err.text);
	return set(check, PROBE_OK, "",
		"a guest booted, was stopped at a kept page %u times (%.1f us "
		"each) and single-stepped there %u times (%.1f us each)",
		result.stops, result.stop_us, result.steps, result.step_us);
}

static const struct {
	const char *name;
	enum probe_status (*fn)(
		struct probing *probing, struct probe_check *check);
	bool essential; /* nothing else makes sense when it fails */
} rows[] = {
	{ "cpu", check_cpu, false },
	{ "device", check_device, true },
	{ "kind", check_kind, false },
	{ "capabilities", check_capabilities, true },
	{ "guest-cpu", check_guest_cpu, true },
	{ "mappings", check_mappings, false },
	{ "guest", check_guest, false },
};
_Static_assert(sizeof(rows) / sizeof(rows[0]) <= PROBE_CHECKS_MAX, "room");

void vmm_probe(const char *path, struct probe *out)
{
	struct probing probing = { .path = path ? path : vmm_kvm_path() };

	memset(out, 0, sizeof(*out));
	out->usable = true;
	probing.kvm.fd = probing.kvm.vm_fd = -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_check *check = &out->checks[out->count++];

		check->name = rows[i].name;
		if (rows[i].fn(&probing, check) != PROBE_FAIL)
			continue;
		out->usable = false;
		if (rows[i].essential)
			break;
	}
	vmm_kvm_close(&probing.kvm);
}

static const char *const status_names[] = {
	[PROBE_OK] = "ok",
	[PROBE_WARN] = "warning",
	[PROBE_FAIL] = "failed",
};

const char *vmm_probe_status_name(enum probe_status status)
{
	invariant(status < PROBE_STATUS_MAX);
	return status_names[status];
}
