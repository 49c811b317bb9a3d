/* SPDX-License-Identifier: MIT */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <custos/arch.h>

#include "abi/custos_abi.h"
#include "base/buf.h"

/* RAM, alias, devices, and one of the monitor's per vCPU. */
#define SLOTS (3 + CUSTOS_CPUS_MAX)
/* Below 4 GiB and out of RAM; VMX wants four pages there. */
#define TSS_ADDRESS 0xfffbd000
#define IDENTITY_MAP_ADDRESS UINT64_C(0xfffbc000)
/* XCR0 bits of AMX: TILECFG, TILEDATA. 8 KiB a process for what nobody in
 * the guest uses, and permission to be asked of the host. */
#define XCR0_AMX (UINT64_C(3) << 17)
#define XSAVE_LEGACY 576

/* Physical addresses up to the end of the alias slot. */
#define PHYS_BITS 39
_Static_assert(CUSTOS_ALIAS_BASE + CUSTOS_RAM_MAX <= UINT64_C(1) << PHYS_BITS,
	"the memory map fits");

#define SYNC_NEEDED (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)

/* One per line: capability, mask, minimum, name, purpose, optional. */
const struct kvm_need vmm_kvm_needs[] = {
	{ KVM_CAP_USER_MEMORY, 0, 1, "KVM_CAP_USER_MEMORY",
		"guest memory", 0 },
	{ KVM_CAP_SYNC_MMU, 0, 1, "KVM_CAP_SYNC_MMU",
		"closing pages under a running guest", 0 },
	{ KVM_CAP_NR_MEMSLOTS, 0, SLOTS, "KVM_CAP_NR_MEMSLOTS",
		"memory slots", 0 },
	{ KVM_CAP_SYNC_REGS, SYNC_NEEDED, SYNC_NEEDED, "KVM_CAP_SYNC_REGS",
		"registers without a system call", 0 },
	{ KVM_CAP_IMMEDIATE_EXIT, 0, 1, "KVM_CAP_IMMEDIATE_EXIT",
		"stopping a vCPU", 0 },
	{ KVM_CAP_IRQCHIP, 0, 1, "KVM_CAP_IRQCHIP",
		"timer and interrupts", 0 },
	{ KVM_CAP_SET_TSS_ADDR, 0, 1, "KVM_CAP_SET_TSS_ADDR", "VMX", 0 },
	{ KVM_CAP_EXT_CPUID, 0, 1, "KVM_CAP_EXT_CPUID", "CPU features", 0 },
	{ KVM_CAP_MP_STATE, 0, 1, "KVM_CAP_MP_STATE", "starting vCPUs", 0 },
	{ KVM_CAP_VCPU_EVENTS, 0, 1, "KVM_CAP_VCPU_EVENTS",
		"faults for refused accesses", 0 },
	{ KVM_CAP_XSAVE, 0, 1, "KVM_CAP_XSAVE", "vector registers", 0 },
	{ KVM_CAP_XCRS, 0, 1, "KVM_CAP_XCRS", "vector registers", 0 },
	{ KVM_CAP_GET_TSC_KHZ, 0, 1, "KVM_CAP_GET_TSC_KHZ", "guest time", 0 },
	{ KVM_CAP_NR_VCPUS, 0, 1, "KVM_CAP_NR_VCPUS", "vCPUs", 0 },
	{ KVM_CAP_XSAVE2, 0, 1, "KVM_CAP_XSAVE2",
		"vector state above 4 KiB (AMX)", 1 },
};
const size_t vmm_kvm_need_count = sizeof(vmm_kvm_needs) / sizeof(vmm_kvm_needs[0]);

static int explain_open(int code, const char *path, struct error *err)
{
	switch (-code) {
	case ENOENT:
		return error_set(err, code,
			"%s is not there: this machine offers no KVM "
			"(virtualization off in the firmware, no kvm module "
			"loaded, or a virtual machine without nesting); try "
			"`custos doctor'",
			path);
	case EACCES:
	case EPERM:
		return error_set(err, code,
			"no permission to open %s: add yourself to its group "
			"(sudo usermod -aG kvm $USER, then log in again)",
			path);
	default:
		return error_set_errno(err, code, "cannot open %s", path);
	}
}

const char *vmm_kvm_path(void)
{
	const char *path = getenv("CUSTOS_KVM");

	return path && *path ? path : "/dev/kvm";
}

int vmm_kvm_open(struct kvm *kvm, const char *path, struct error *err)
{
	int version;

	memset(kvm, 0, sizeof(*kvm));
	kvm->vm_fd = -1;
	kvm->fd = open(path, O_RDWR | O_CLOEXEC);
	if (kvm->fd < 0)
		return explain_open(-errno, path, err);
	version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return error_set(err, -ENODEV,
			"%s is not a KVM custos knows (API version %d)", path,
			version);
	return 0;
}

void vmm_kvm_close(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	if (kvm->fd >= 0)
		close(kvm->fd);
	free(kvm->cpuid);
	kvm->cpuid = NULL;
	kvm->fd = kvm->vm_fd = -1;
}

int vmm_kvm_check(const struct kvm *kvm, const struct kvm_need *need)
{
	int value = ioctl(kvm->fd, KVM_CHECK_EXTENSION, need->cap);

	if (value < 0)
		return -1;
	if (need->mask)
		value &= need->mask;
	return value >= need->minimum ? value : -1;
}

int vmm_kvm_check_all(const struct kvm *kvm, struct error *err)
{
	struct buf missing = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < vmm_kvm_need_count; i++) {
		const struct kvm_need *need = &vmm_kvm_needs[i];

		if (need->optional || vmm_kvm_check(kvm, need) >= 0)
			continue;
		buf_printf(&missing, "%s%s (%s)", missing.len ? ", " : "",
			need->name, need->purpose);
	}
	if (missing.len || missing.failed)
		rc = error_set(err, -ENODEV, "this KVM lacks %s",
			buf_str(&missing));
	buf_fini(&missing);
	return rc;
}

const struct kvm_cpuid_entry2 *vmm_kvm_cpuid_entry(
	const struct kvm_cpuid_set *cpuid, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == function && e->index == index)
			return e;
	}
	return NULL;
}

/* The standard format puts component i at a fixed offset, leaf 0xd.i says
 * where. */
static void read_xsave_layout(struct kvm *kvm)
{
	kvm->xsave_size = XSAVE_LEGACY;
	for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
		const struct kvm_cpuid_entry2 *e =
			vmm_kvm_cpuid_entry(kvm->cpuid, 0xd, i);

		if (!e || !(kvm->xcr0 >> i & 1))
			continue;
		kvm->xsave.component[i].offset = e->ebx;
		kvm->xsave.component[i].size = e->eax;
		if (e->ebx + e->eax > kvm->xsave_size)
			kvm->xsave_size = e->ebx + e->eax;
	}
}

/* Hide AMX, and 57-bit addresses, which our page walks do not know. */
static void trim_cpuid(struct kvm_cpuid_set *cpuid)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cpuid->head.nent; i++) {
		struct kvm_cpuid_entry2 e = cpuid->entries[i];

		if (e.function == 0x1d || e.function == 0x1e ||
			(e.function == 0xd &&
				(e.index == 17 || e.index == 18)))
			continue;
		if (e.function == 0xd && e.index == 0)
			e.eax &= ~(uint32_t)XCR0_AMX;
		if (e.function == 7 && e.index == 0) {
			e.edx &= ~(1u << 22 | 1u << 24 | 1u << 25);
			e.ecx &= ~(1u << 16);
		}
		if (e.function == 1)
			e.ecx |= 1u << 21 | 1u << 24; /* x2APIC, deadline */
		cpuid->entries[kept++] = e;
	}
	cpuid->head.nent = kept;
}

int vmm_kvm_read_cpuid(struct kvm *kvm, struct error *err)
{
	const struct kvm_cpuid_entry2 *e;

	kvm->cpuid = calloc(1, sizeof(*kvm->cpuid));
	if (!kvm->cpuid)
		return error_set(err, -ENOMEM, "out of memory");
	kvm->cpuid->head.nent = KVM_CPUID_MAX;
	if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, kvm->cpuid))
		return error_set_errno(
			err, -errno, "KVM_GET_SUPPORTED_CPUID");
	trim_cpuid(kvm->cpuid);
	e = vmm_kvm_cpuid_entry(kvm->cpuid, 0xd, 0);
	kvm->xcr0 = e ? (e->eax | (uint64_t)e->edx << 32) & ~XCR0_AMX : 0;
	if ((kvm->xcr0 & 3) != 3)
		return error_set(err, -ENODEV,
			"this KVM gives guests no XSAVE (x87 and SSE)");
	read_xsave_layout(kvm);
	if (kvm->xsave_size > ARCH_XSTATE_CAPACITY)
		return error_set(err, -ENODEV,
			"guests' vector state has %u bytes here; custos takes "
			"%d",
			kvm->xsave_size, ARCH_XSTATE_CAPACITY);
	e = vmm_kvm_cpuid_entry(kvm->cpuid, 0x80000008, 0);
	kvm->phys_bits = e ? e->eax & 0xff : 36;
	if (kvm->phys_bits < PHYS_BITS)
		return error_set(err, -ENODEV,
			"guests have %u bits of physical address here; custos "
			"needs %d",
			kvm->phys_bits, PHYS_BITS);
	return 0;
}

int vmm_kvm_create_vm(struct kvm *kvm, struct error *err)
{
	uint64_t identity = IDENTITY_MAP_ADDRESS;
	int size;

	kvm->vm_fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	if (kvm->vm_fd < 0)
		return error_set_errno(err, -errno,
			"KVM cannot make a virtual machine");
	/* Only VMX has this one. */
	ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS))
		return error_set_errno(err, -errno, "KVM_SET_TSS_ADDR");
	if (ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0))
		return error_set_errno(err, -errno, "KVM_CREATE_IRQCHIP");
	size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return error_set_errno(err, -errno, "KVM_GET_VCPU_MMAP_SIZE");
	kvm->run_size = (size_t)size;
	size = ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	kvm->xsave_capacity = size > 0 ? (size_t)size : 0;
	return 0;
}

int vmm_kvm_set_slot(const struct kvm *kvm, unsigned slot, uint64_t gpa,
	void *bytes, uint64_t size, struct error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uint64_t)(uintptr_t)bytes,
	};

	if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return error_set_errno(
			err, -errno, "KVM takes no memory slot %u", slot);
	return 0;
}

/* The leaves that name the CPU they are read on. */
static void set_apic_id(struct kvm_cpuid_set *cpuid, unsigned id)
{
	for (uint32_t i = 0; i < cpuid->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | id << 24;
		else if (e->function == 0xb || e->function == 0x1f)
			e->edx = id;
	}
}

static int set_cpuid(
	const struct kvm *kvm, int fd, unsigned id, struct error *err)
{
	struct kvm_cpuid_set *cpuid = malloc(sizeof(*cpuid));
	int rc = 0;

	if (!cpuid)
		return error_set(err, -ENOMEM, "out of memory");
	*cpuid = *kvm->cpuid;
	set_apic_id(cpuid, id);
	if (ioctl(fd, KVM_SET_CPUID2, cpuid))
		rc = error_set_errno(err, -errno, "KVM_SET_CPUID2");
	free(cpuid);
	return rc;
}

int vmm_kvm_create_vcpu(const struct kvm *kvm, unsigned id, int *out_fd,
	struct kvm_run **out_run, struct error *err)
{
	void *run;
	int fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, id);

	*out_fd = fd;
	if (fd < 0)
		return error_set_errno(err, -errno, "KVM has no vCPU %u", id);
	run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		0);
	if (run == MAP_FAILED)
		return error_set_errno(err, -errno, "cannot map a vCPU");
	*out_run = run;
	return set_cpuid(kvm, fd, id, err);
}
