/* SPDX-License-Identifier: MIT */
/*
 * The floor: a machine with one vCPU at CPL 3 that stores to a closed page for
 * ever. Nothing of custos is used, so that custos can be measured against it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/support/guest_run.h"

#define RAM (2u << 20)
#define CODE 0x10000u /* mov [rbx], rax; jmp to it */
#define DATA 0x11000u
#define USER_PAGE 7u /* present, writable, user */

struct bare {
	int kvm, vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run;
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void put(struct bare *b, uint32_t at, uint64_t value)
{
	memcpy(b->ram + at, &value, sizeof(value));
}

/* Identity map of the first 2 MiB, in 4 KiB pages. */
static void fill_memory(struct bare *b)
{
	static const uint8_t code[] = { 0x48, 0x89, 0x03, 0xeb, 0xfb };

	put(b, 0x1000, 0x2000 | USER_PAGE);
	put(b, 0x2000, 0x3000 | USER_PAGE);
	put(b, 0x3000, 0x4000 | USER_PAGE);
	for (uint32_t i = 0; i < 512; i++)
		put(b, 0x4000 + 8 * i, i * 4096 | USER_PAGE);
	memcpy(b->ram + CODE, code, sizeof(code));
}

static void set_cpu(struct bare *b)
{
	struct kvm_segment data = { .limit = ~0u,
		.selector = 0x1b,
		.type = 3,
		.present = 1,
		.dpl = 3,
		.db = 1,
		.s = 1,
		.g = 1 };
	struct kvm_segment code = data;
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = CODE, .rbx = DATA, .rflags = 2 };

	need(!ioctl(b->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	code.selector = 0x23;
	code.type = 11;
	code.db = 0;
	code.l = 1;
	s.cs = code;
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.tr = (struct kvm_segment){ .limit = 0x67,
		.selector = 0x28,
		.type = 11,
		.present = 1 };
	s.cr0 = 0x80050033;
	s.cr3 = 0x1000;
	s.cr4 = 0x20;
	s.efer = 0x500;
	need(!ioctl(b->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	need(!ioctl(b->vcpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
}

static void create(struct bare *b)
{
	struct kvm_userspace_memory_region slot = { .memory_size = RAM };
	int run_size;

	b->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(b->kvm >= 0, "/dev/kvm");
	b->vm = ioctl(b->kvm, KVM_CREATE_VM, 0);
	need(b->vm >= 0, "KVM_CREATE_VM");
	ioctl(b->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	b->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(b->ram != MAP_FAILED, "mmap");
	slot.userspace_addr = (uintptr_t)b->ram;
	need(!ioctl(b->vm, KVM_SET_USER_MEMORY_REGION, &slot), "slot");
	b->vcpu = ioctl(b->vm, KVM_CREATE_VCPU, 0);
	need(b->vcpu >= 0, "KVM_CREATE_VCPU");
	run_size = ioctl(b->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	b->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE,
		MAP_SHARED, b->vcpu, 0);
	need(b->run != MAP_FAILED, "mmap");
}

double bench_bare_exit(unsigned count)
{
	struct bare b;
	double start;

	create(&b);
	fill_memory(&b);
	set_cpu(&b);
	need(!mprotect(b.ram + DATA, 4096, PROT_NONE), "mprotect");
	b.run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	start = guest_run_now();
	for (unsigned i = 0; i < count; i++) {
		int rc = ioctl(b.vcpu, KVM_RUN, 0);

		need(rc == -1 && errno == EFAULT, "KVM_RUN: EFAULT expected");
		b.run->s.regs.regs.rip = CODE + 3;
		b.run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	}
	start = guest_run_now() - start;
	munmap(b.ram, RAM);
	close(b.vcpu);
	close(b.vm);
	close(b.kvm);
	return start / count;
}
