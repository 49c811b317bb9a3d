/* SPDX-License-Identifier: MIT */
/* Making a machine and taking it apart. */
#include "vmm/vmm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/invariant.h"
#include "vmm/kernel_elf.h"
#include "vmm/vmm_impl.h"

static void copy_config(struct vmm *vm, const struct vmm_config *config)
{
	vm->cpu_count = config->cpus;
	vm->kernel = config->kernel;
	vm->module_count = config->module_count;
	if (config->module_count)
		memcpy(vm->modules, config->modules,
			config->module_count * sizeof(vm->modules[0]));
	vm->console_fd = config->console_fd;
	vm->console = config->console;
	vm->console_ctx = config->console_ctx;
}

/* Boot info has checked and laid them out. The guest can write there: take
 * what we need before it runs. */
static void copy_devices(struct vmm *vm)
{
	const struct custos_boot_info *info = (const void *)vmm_gpa_range(
		&vm->ram, vm->boot.info, sizeof(*info));

	invariant(info);
	vm->device_count = info->device_count;
	memcpy(vm->devices, info->devices, sizeof(vm->devices));
	for (unsigned i = 0; i < vm->device_count; i++)
		vm->device_size += vm->devices[i].size;
}

static int map_devices(struct vmm *vm, struct error *err)
{
	void *bytes;

	copy_devices(vm);
	if (!vm->device_size)
		return 0;
	bytes = mmap(NULL, vm->device_size, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return error_set_errno(
			err, -errno, "cannot reserve the devices' addresses");
	vm->device_bytes = bytes;
	return vmm_kvm_set_slot(&vm->kvm, SLOT_DEVICE, CUSTOS_DEVICE_BASE,
		bytes, vm->device_size, err);
}

static int open_own_kernel(struct vmm *vm, struct error *err)
{
	size_t size = (size_t)(vmm_kernel_elf_end - vmm_kernel_elf);
	int rc;

	if (vm->kernel)
		return 0;
	rc = image_open_memory(
		"kernel", vmm_kernel_elf, size, &vm->own_kernel, err);
	if (rc) {
		error_prefix(err, "the guest kernel inside custos");
		return rc;
	}
	vm->kernel = vm->own_kernel;
	return 0;
}

static int load(struct vmm *vm, const struct vmm_config *config,
	struct error *err)
{
	struct vmm_config complete = *config;
	struct boot_machine machine = { 0 };
	int rc;

	rc = open_own_kernel(vm, err);
	if (rc || (rc = vmm_ram_init(&vm->ram, config->memory, err)))
		return rc;
	complete.kernel = vm->kernel;
	machine.xcr0 = vm->kvm.xcr0;
	machine.xsave_size = vm->kvm.xsave_size;
	return vmm_boot_load(&vm->ram, &complete, &machine, &vm->boot, err);
}

static int open_kvm(struct vmm *vm, struct error *err)
{
	int rc;

	if ((rc = vmm_kvm_open(&vm->kvm, vmm_kvm_path(), err)) ||
		(rc = vmm_kvm_check_all(&vm->kvm, err)) ||
		(rc = vmm_kvm_read_cpuid(&vm->kvm, err)))
		return rc;
	return vmm_kvm_create_vm(&vm->kvm, err);
}

/* Only a vCPU knows; all have the same. */
static void note_tsc_khz(struct vmm *vm)
{
	struct custos_boot_info *info = (void *)vmm_gpa_range(
		&vm->ram, vm->boot.info, sizeof(*info));
	int khz = ioctl(vm->cpus[0].fd, KVM_GET_TSC_KHZ, 0);

	invariant(info);
	info->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
}

static int build(struct vmm *vm, const struct vmm_config *config,
	struct error *err)
{
	int rc;

	/* Checks what is asked before anything of the host is. */
	if ((rc = vmm_boot_check(config, err)) || (rc = open_kvm(vm, err)) ||
		(rc = load(vm, config, err)))
		return rc;
	rc = vmm_kvm_set_slot(&vm->kvm, SLOT_RAM, CUSTOS_RAM_BASE,
		vm->ram.guest, vm->ram.size, err);
	if (!rc)
		rc = vmm_kvm_set_slot(&vm->kvm, SLOT_ALIAS, CUSTOS_ALIAS_BASE,
			vm->ram.bytes, vm->ram.size, err);
	if (!rc)
		rc = map_devices(vm, err);
	vm->virtual_time = config->virtual_time;
	for (unsigned i = 0; !rc && i < config->cpus; i++)
		rc = vmm_vcpu_init(vm, i, err);
	if (!rc)
		note_tsc_khz(vm);
	return rc;
}

int vmm_create(const struct vmm_config *config, struct target **out,
	struct error *err)
{
	struct vmm *vm = calloc(1, sizeof(*vm));
	int rc;

	*out = NULL;
	if (!vm)
		return error_set(err, -ENOMEM, "out of memory");
	vm->target.ops = &vmm_ops;
	vm->kvm.fd = vm->kvm.vm_fd = vm->ram.fd = -1;
	vm->result.end = TARGET_STOPPED;
	pthread_mutex_init(&vm->console_lock, NULL);
	pthread_mutex_init(&vm->end_lock, NULL);
	pthread_mutex_init(&vm->ram.lock, NULL);
	vmm_process_init(&vm->processes);
	copy_config(vm, config);
	rc = build(vm, config, err);
	if (rc) {
		vmm_destroy(&vm->target);
		return rc;
	}
	*out = &vm->target;
	return 0;
}

void vmm_destroy(struct target *target)
{
	struct vmm *vm = vmm_of(target);

	for (unsigned i = 0; i < CUSTOS_CPUS_MAX; i++)
		vmm_vcpu_fini(&vm->cpus[i]);
	vmm_kvm_close(&vm->kvm);
	if (vm->device_bytes)
		munmap(vm->device_bytes, vm->device_size);
	vmm_ram_fini(&vm->ram);
	vmm_process_fini(&vm->processes);
	image_close(vm->own_kernel);
	pthread_mutex_destroy(&vm->console_lock);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

bool vmm_is_vm(const struct target *target)
{
	return target->ops == &vmm_ops;
}

void vmm_get_stats(const struct target *target, struct vmm_stats *out)
{
	const struct vmm *vm = (const struct vmm *)target;

	invariant(vmm_is_vm(target));
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		const struct vmm_stats *s = &vm->cpus[i].stats;

		out->access_stops += s->access_stops;
		out->steps += s->steps;
		out->views_built += s->views_built;
		out->xsaves += s->xsaves;
		out->kernel_accesses += s->kernel_accesses;
		out->missed_accesses += s->missed_accesses;
	}
}
