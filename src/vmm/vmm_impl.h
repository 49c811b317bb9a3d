/* SPDX-License-Identifier: MIT */
/*
 * The machine and its vCPUs, for the files of this module only.
 *
 * Threads: each vCPU's fields are its own host thread's while the machine
 * runs. What several threads touch is said below.
 */
#ifndef CUSTOS_VMM_VMM_IMPL_H
#define CUSTOS_VMM_VMM_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <custos/arch.h>

#include "abi/custos_abi.h"
#include "arch/paging.h"
#include "base/buf.h"
#include "target/target_impl.h"
#include "vmm/boot.h"
#include "vmm/kvm.h"
#include "vmm/process.h"
#include "vmm/ram.h"
#include "vmm/vmm.h"

enum vmm_slot { SLOT_RAM, SLOT_ALIAS, SLOT_DEVICE, SLOT_MONITOR };

struct view_pool;
struct vmm;

struct vcpu {
	struct target_thread thread; /* first */
	struct vmm *vm;
	int fd;
	struct kvm_run *run;
	struct view_pool *views; /* made at the first step */
	pthread_t host;
	bool started;
	_Atomic pid_t tid; /* 0: no thread to kick */

	/* The present stop. */
	struct arch_regs regs; /* as of the last stop, when regs_read */
	bool regs_read;
	struct arch_fault fault; /* to be injected, when fault_pending */
	bool fault_pending;
	bool trap_pending; /* it is the #DB of a step under the user's TF */
	uint64_t stuck_rip; /* where stops come without any progress */
	unsigned stuck_count;
	struct vmm_stats stats;
};

struct vmm {
	struct target target; /* first */
	struct kvm kvm;
	struct ram ram;
	struct boot boot;
	struct process_table processes;
	unsigned cpu_count;
	struct vcpu cpus[CUSTOS_CPUS_MAX];
	bool virtual_time;

	/* Constant once created. */
	const struct image *kernel;
	struct image *own_kernel; /* the embedded one, when we opened it */
	const struct image *modules[CUSTOS_MODULES_MAX];
	unsigned module_count;
	struct custos_device devices[CUSTOS_DEVICES_MAX];
	unsigned device_count;
	uint8_t *device_bytes; /* PROT_NONE, never more */
	uint64_t device_size;
	int console_fd;
	void (*console)(void *ctx, const void *bytes, size_t len);
	void *console_ctx;

	const struct target_handler *handler; /* while running */
	_Atomic bool stop; /* vCPUs leave their loops */

	pthread_mutex_t console_lock;
	pthread_mutex_t end_lock; /* guards the fields below */
	bool ended;
	struct target_result result;
	struct error error; /* when result.end is TARGET_FAILED */
};

static inline struct vmm *vmm_of(struct target *target)
{
	return (struct vmm *)target;
}

static inline struct vcpu *vcpu_of(struct target_thread *thread)
{
	return (struct vcpu *)thread;
}

extern const struct target_ops vmm_ops; /* vmm_target.c */
void vmm_destroy(struct target *target); /* vmm.c; complete or not */

/* ---- vcpu.c ---- */

int vmm_vcpu_init(struct vmm *vm, unsigned index, struct error *err);
void vmm_vcpu_fini(struct vcpu *vcpu);
void *vmm_vcpu_main(void *vcpu); /* the body of its host thread */

static inline struct kvm_regs *vcpu_kvm_regs(const struct vcpu *vcpu)
{
	return &vcpu->run->s.regs.regs;
}

static inline struct kvm_sregs *vcpu_kvm_sregs(const struct vcpu *vcpu)
{
	return &vcpu->run->s.regs.sregs;
}

/* Have KVM take over what was changed in vcpu_kvm_regs() or _sregs(). */
static inline void vcpu_dirty(struct vcpu *vcpu, uint64_t which)
{
	vcpu->run->kvm_dirty_regs |= which;
}

static inline bool vcpu_is_user(const struct vcpu *vcpu)
{
	return (vcpu_kvm_sregs(vcpu)->cs.selector & 3) == 3;
}

const struct arch_regs *vmm_vcpu_regs(struct vcpu *vcpu);
void vmm_vcpu_set_regs(struct vcpu *vcpu, const struct arch_regs *regs);

/* ---- xstate.c ---- */

int vmm_xstate_get(
	struct vcpu *vcpu, struct arch_xstate *xstate, struct error *err);
int vmm_xstate_set(struct vcpu *vcpu, const struct arch_xstate *xstate,
	struct error *err);

/* ---- exit.c: how the last KVM_RUN came back is dealt with ---- */

void vmm_exit_handle(struct vcpu *vcpu);
/* KVM_RUN failed with EFAULT: an access to a closed page. */
void vmm_exit_access(struct vcpu *vcpu);
/* The same at CPL 0: exit_kernel.c. */
void vmm_exit_kernel_access(struct vcpu *vcpu);
/* Tell the handler that [gpa, gpa + len) was accessed behind its back. */
void vmm_tell_unseen(
	struct vcpu *vcpu, uint64_t gpa, uint64_t len, bool stored);
bool vmm_vector_has_error_code(enum arch_vector vector);
void vmm_exit_io(struct vcpu *vcpu);
/* CUSTOS_CALL_EMULATE; its result. */
int64_t vmm_call_emulate(struct vcpu *vcpu, uint64_t gpa);
void vmm_exit_mmio(struct vcpu *vcpu);
void vmm_exit_internal_error(struct vcpu *vcpu);

/* ---- how the run ends: vmm_target.c ---- */

/* Async-signal-safe. */
void vmm_stop_all(struct vmm *vm);
/* End the run so, unless it has ended already. Returns whether it was us. */
bool vmm_end(struct vmm *vm, enum target_end end, int code);
/* End it with TARGET_FAILED and this reason. */
void vmm_fail(struct vmm *vm, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* End it with TARGET_CRASHED and a report about vcpu: report.c. */
void vmm_crash(struct vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- report.c ---- */

/* Tell people that a process faulted, as its kernel saw it. */
void vmm_report_fault(struct vcpu *vcpu, const struct target_process *process,
	const struct custos_fault_report *fault);

/* ---- vmm_target.c ---- */

/* In guest memory, hostile. Never NULL. */
struct custos_boot_info *vmm_boot_info(const struct vmm *vm);
/* What the guest's kernel says about this CPU; hostile. Never NULL. */
const struct custos_cpu_state *vmm_cpu_state(const struct vcpu *vcpu);

/* ---- memory.c ---- */

bool vmm_translate(struct vmm *vm, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault);
bool vmm_find_page(
	struct vmm *vm, space_t space, uint64_t va, struct target_page *page);
/* The page at gpa, page aligned; false when nothing is there. */
bool vmm_fill_page(struct vmm *vm, uint64_t gpa, struct target_page *page);
size_t vmm_read(struct vmm *vm, space_t space, uint64_t va, void *bytes,
	size_t len);
size_t vmm_write(struct vmm *vm, space_t space, uint64_t va,
	const void *bytes, size_t len);
bool vmm_next_page(struct vmm *vm, space_t space, uint64_t va,
	uint64_t *out_va, const uint8_t **out_bytes);
int vmm_close_frame(struct vmm *vm, frame_t frame, struct error *err);
int vmm_open_frame(struct vmm *vm, frame_t frame, struct error *err);
/* The device page at gpa, or NULL. */
const struct custos_device *vmm_device_at(const struct vmm *vm, uint64_t gpa);

/* ---- step.c ---- */

enum target_step vmm_step(struct vcpu *vcpu, const uint64_t *open_va,
	size_t count, struct arch_fault *fault, struct error *err);
void vmm_step_fini(struct vcpu *vcpu);

#endif
