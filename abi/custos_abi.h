/* SPDX-License-Identifier: MIT */
/*
 * What the monitor and the guest kernel agree on: the machine's memory map,
 * the boot info and the hypercalls. Freestanding; shared by both sides, which
 * are compiled apart: every layout is fixed and asserted. Guest addresses are
 * plain integers here, so that the host cannot dereference one by accident.
 */
#ifndef CUSTOS_ABI_H
#define CUSTOS_ABI_H

#include <stddef.h>
#include <stdint.h>

#define CUSTOS_ABI_MAGIC UINT32_C(0x74737563) /* "cust" */
#define CUSTOS_ABI_VERSION 3

/*
 * Guest-physical map. RAM starts at 4 GiB, clear of everything a PC has below.
 * The other regions are slots of the monitor's; the kernel never names them.
 * All of it fits 39 bits, the fewest a CPU with virtualization offers.
 */
#define CUSTOS_RAM_BASE UINT64_C(0x0100000000)
#define CUSTOS_RAM_MAX UINT64_C(0x1000000000) /* 64 GiB */
#define CUSTOS_DEVICE_BASE UINT64_C(0x2000000000) /* pages without RAM */
#define CUSTOS_MONITOR_BASE UINT64_C(0x3000000000) /* tables for stepping */
#define CUSTOS_ALIAS_BASE UINT64_C(0x4000000000) /* RAM again, always open */

/*
 * Guest-virtual map set up by the monitor: all of RAM (writable, supervisor,
 * no-execute) at DIRECT + gpa, and the kernel image at its link address with
 * the permissions of its segments. The lower half belongs to programs.
 */
#define CUSTOS_DIRECT_BASE UINT64_C(0xffff800000000000)
#define CUSTOS_KERNEL_BASE UINT64_C(0xffffffff80000000)
#define CUSTOS_USER_END UINT64_C(0x00007ffffffff000)

#define CUSTOS_CPUS_MAX 16
#define CUSTOS_NAME_MAX 32 /* bytes, NUL included, padded with NULs */
#define CUSTOS_MODULES_MAX 16
#define CUSTOS_SEGMENTS_MAX 8
#define CUSTOS_DEVICES_MAX 16
#define CUSTOS_ARGS_MAX 4096

#define CUSTOS_SEGMENT_READ 1u
#define CUSTOS_SEGMENT_WRITE 2u
#define CUSTOS_SEGMENT_EXEC 4u

/*
 * One loadable piece of a program. The monitor has checked it: va and mem_size
 * are page aligned, inside [CUSTOS_ABI_PAGE, CUSTOS_USER_END), no two segments
 * share a page; the first data_size bytes are at gpa data (page aligned; the
 * bytes around the file's own are zero), the rest up to mem_size is zero.
 */
struct custos_segment {
	uint64_t va;
	uint64_t mem_size;
	uint64_t data;
	uint64_t data_size;
	uint32_t flags; /* CUSTOS_SEGMENT_* */
	uint32_t reserved;
};

/* A program the kernel can start. Module 0 is started at boot. */
struct custos_module {
	char name[CUSTOS_NAME_MAX];
	uint64_t entry;
	uint32_t segment_count;
	uint32_t reserved;
	struct custos_segment segments[CUSTOS_SEGMENTS_MAX];
};

/* Guest-physical pages without RAM: every access is the keeper's to answer. */
struct custos_device {
	char name[CUSTOS_NAME_MAX];
	uint64_t gpa;
	uint64_t size; /* page aligned */
};

/*
 * Per-CPU words the kernel keeps up to date so that the monitor can tell who
 * runs where without asking. Written by the kernel on that CPU only.
 */
struct custos_cpu_state {
	uint64_t process; /* id of the process whose user code runs; 0: none */
	uint64_t copy_ip; /* CUSTOS_CALL_COPY: of the system call instruction */
	/* and where the registers of the process whose memory it is are saved:
	 * gpa of a struct custos_saved_frame; 0: nowhere */
	uint64_t copy_frame;
	uint64_t reserved[5];
};

/* A process's registers as the kernel saves them. */
struct custos_saved_frame {
	uint64_t gpr[16]; /* hardware order; the fifth means nothing: see rsp */
	uint64_t vector;
	uint64_t error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* A question: where does a page of a space lead? */
struct custos_where {
	uint64_t cr3; /* of a process that has been told of and not ended */
	uint64_t va; /* page aligned */
	/* The answer: the page that is mapped there or, when none is, would be
	 * if nobody had to be asked; 0: none. */
	uint64_t gpa;
};

#define CUSTOS_WHERE_MAX 32

struct custos_boot_info {
	uint32_t magic;
	uint32_t abi_version;
	uint32_t cpu_count;
	uint32_t module_count;
	uint32_t device_count;
	uint32_t args_count; /* strings in args, program name first */
	uint32_t xsave_size; /* bytes of an XSAVE area for the enabled XCR0 */
	uint32_t tsc_khz;
	uint64_t xcr0; /* set on every CPU before it starts */
	uint64_t ram_base, ram_size;
	uint64_t free_base, free_size; /* RAM the kernel may use: zeros */
	/*
	 * One bit per frame of RAM, bit n of byte n / 8 for the frame at
	 * ram_base + n * 4096; set while the monitor keeps that frame. The
	 * kernel must copy to and from such a frame with
	 * CUSTOS_CALL_COPY. Written by the monitor only.
	 */
	uint64_t kept_map; /* gpa */
	uint64_t flags; /* CUSTOS_BOOT_* */
	uint64_t watch; /* CUSTOS_WATCH_*; written by the monitor only */
	struct custos_cpu_state cpus[CUSTOS_CPUS_MAX];
	struct custos_device devices[CUSTOS_DEVICES_MAX];
	struct custos_module modules[CUSTOS_MODULES_MAX];
	char args[CUSTOS_ARGS_MAX]; /* args_count NUL-terminated strings */
	struct custos_where where[CUSTOS_WHERE_MAX];
};

/* The monitor follows kept addresses, which may lead elsewhere any time. */
#define CUSTOS_WATCH_CHANGES 1u /* it wants CUSTOS_CALL_SPACE_CHANGED */
/* It has questions, though nothing may have changed: the same call, before the
 * kernel goes back to user code the next time. */
#define CUSTOS_WATCH_ASKS 2u

/*
 * Time is counted in kernel entries, not taken from a clock, and waiting makes
 * it pass at once: with one CPU a run is then the same every time. CR4.TSD is
 * set: user code's RDTSC, where the KVM traps it, is answered with that time.
 */
#define CUSTOS_BOOT_VIRTUAL_TIME 1u
/* The order of the CPUs' work in the kernel is told to the monitor; with the
 * other flag it is the monitor's to say. Only with virtual time. */
#define CUSTOS_BOOT_ORDERED 2u
#define CUSTOS_BOOT_REPEATED 4u

/* Mapping tables are made for each process anew: what sharing them saves can
 * be measured. */
#define CUSTOS_BOOT_NO_SHARING 8u

/*
 * Every vCPU starts at the kernel's ELF entry, at CPL 0 in 64-bit mode, with
 * interrupts off, rdi = virtual address of the boot info (in the direct map),
 * rsi = cpu index, rsp undefined, a flat GDT (code 0x08, data 0x10), no IDT,
 * CR0.PE PG WP NE ET MP, CR4.PAE OSFXSR OSXMMEXCPT OSXSAVE, EFER.LME LMA NXE
 * SCE, the local APIC in x2APIC mode and enabled in its base MSR.
 *
 * Hypercalls: `out %eax, %dx` with dx = CUSTOS_PORT, eax = a CUSTOS_CALL
 * number, arguments in rdi, rsi, r8, r9, r10; the result comes back in rax, all
 * other registers stay. Results below zero are -CUSTOS_ERR_* of this file.
 */
#define CUSTOS_PORT 0x6375 /* "cu" */

enum custos_call {
	/* rdi = gpa, rsi = length (<= 4096, within one page). */
	CUSTOS_CALL_CONSOLE = 1,
	/* The machine is done: rdi = exit code (low 8 bits). No return. */
	CUSTOS_CALL_EXIT = 2,
	/* The kernel found itself broken: rdi = gpa of a message, rsi = its
	 * length within one page. No return. */
	CUSTOS_CALL_PANIC = 3,
	/* A process exists and its first mappings are made, it has not run:
	 * rdi = id (never reused, never 0), rsi = its cr3, r8 = module index
	 * (UINT64_MAX: made of no module), r9 = gpa of its NUL-terminated
	 * name (CUSTOS_NAME_MAX bytes). Then as after a SPACE_CHANGED. */
	CUSTOS_CALL_PROCESS_START = 4,
	/* The process will not run again; its mappings are still there, none
	 * of its frames has been freed: rdi = id, rsi = exit code (int64). */
	CUSTOS_CALL_PROCESS_EXIT = 5,
	/* What addresses of some process lead to has changed: not where they
	 * are mapped at the moment, but what they stand for. Before a frame
	 * that one led to is freed, and before any process runs user code
	 * again on this CPU. Result: how many questions are in the boot info's
	 * where; the kernel answers them with CUSTOS_CALL_WHERE. Not called
	 * while the boot info's watch is 0. */
	CUSTOS_CALL_SPACE_CHANGED = 6,
	/* Copy between user memory and the kernel's, when a frame of the user
	 * memory has its kept_map bit set: rdi = cr3, rsi = user va, r8 = gpa
	 * of the kernel's bytes, r9 = length (neither side crosses a page),
	 * r10 = CUSTOS_COPY_*. Result 0, or -CUSTOS_ERR_DENIED when a keeper
	 * refused, or -CUSTOS_ERR_FAULT when va is not mapped so. */
	CUSTOS_CALL_COPY = 7,
	/* A process faulted and will be ended: rdi = id, rsi = gpa of a struct
	 * custos_fault_report. The monitor prints it for people. */
	CUSTOS_CALL_FAULT = 8,
	/* Processes met: all that rdi's (an id) has done happened before
	 * anything that rsi's will do from now on. r8 = CUSTOS_ORDER_BOTH: and
	 * the other way round. At messages, before they are copied; at starts;
	 * at ends, for those who wait. */
	CUSTOS_CALL_ORDER = 9,
	/* A word of the process's own among its accesses: rdi = id, rsi = gpa
	 * of text, r8 = its length (<= CUSTOS_MARK_MAX, within one page). */
	CUSTOS_CALL_MARK = 10,
	/* Carry out the instruction a process stopped at, for the kernel: rdi =
	 * gpa of a struct custos_emulate (page aligned, in contiguous frames),
	 * which says more. Result 0, or -CUSTOS_ERR_ARGUMENT. */
	CUSTOS_CALL_EMULATE = 11,
	/* With CUSTOS_BOOT_ORDERED: the order in which CPUs work in the kernel.
	 * rdi = CUSTOS_TURN_TAKE: this CPU, with the kernel's lock, begins.
	 * CUSTOS_TURN_WANT, with CUSTOS_BOOT_REPEATED, before the lock is
	 * taken: result 1 if it may, 0 if not yet; blocks a little. */
	CUSTOS_CALL_TURN = 12,
	/* rdi = how many entries of the boot info's where have been answered,
	 * the first ones. Result: how many more there are now. */
	CUSTOS_CALL_WHERE = 13,
	CUSTOS_CALL_MAX
};

#define CUSTOS_TURN_WANT 0u
#define CUSTOS_TURN_TAKE 1u

#define CUSTOS_MARK_MAX 256

#define CUSTOS_ORDER_ONE 0u
#define CUSTOS_ORDER_BOTH 1u

#define CUSTOS_COPY_SYSCALL_LOAD 0u /* user -> kernel */
#define CUSTOS_COPY_SYSCALL_STORE 1u /* kernel -> user */
#define CUSTOS_COPY_IPC_SRC 2u /* sender -> kernel */
#define CUSTOS_COPY_IPC_DST 3u /* kernel -> receiver */

#define CUSTOS_ERR_CALL 1 /* no such hypercall */
#define CUSTOS_ERR_ARGUMENT 2
#define CUSTOS_ERR_FAULT 3
#define CUSTOS_ERR_DENIED 4

/* The state of a faulting process, as its trap frame had it. */
struct custos_fault_report {
	uint64_t gpr[16]; /* hardware order: rax rcx rdx rbx rsp rbp rsi rdi.. */
	uint64_t rip;
	uint64_t rflags;
	uint64_t vector;
	uint64_t error_code;
	uint64_t cr2;
	uint64_t cr3;
};

/*
 * Emulation of one instruction (one iteration of a rep form) on saved
 * registers, all or nothing. The monitor reads the instruction and every
 * operand through the tables at cr3: a byte is the monitor's to use if a
 * translation with the user bit and the needed permission leads to it, if an
 * entry of `open` covers its page (which goes before the tables), or if an
 * entry of `served` has it. What is none of these is reported as NEED, the
 * first of them in the order the CPU makes the accesses, and nothing has
 * happened: the kernel maps the page or asks a keeper, adds to served, and
 * calls again from the start. When nothing is missing everything is committed
 * at once: registers into frame, extended state into xstate, stores into RAM
 * (those of served bytes are in served already, and go nowhere else).
 *
 * A store is NEEDed with its value, and is served once an entry with its kind
 * and bytes is there. A read-modify-write is NEEDed twice: RMW_LOAD, and when
 * that is served RMW_STORE with the value computed from it. A need never
 * crosses from bytes that are missing to bytes that are not, but may cross a
 * page; an entry in served may cover a part of it, the rest is NEEDed next.
 * FETCH: bytes from rip on, at most 15, up to the first that can be had.
 *
 * Frames the monitor keeps for its own keepers (kept_map) are put to these as
 * accesses of the process when the instruction commits, and can refuse it:
 * DENIED, nothing has happened.
 */
#define CUSTOS_SERVED_MAX 72
#define CUSTOS_OPEN_MAX 4
#define CUSTOS_EMULATE_STEPPED_MAX 8

enum custos_emulate_op {
	CUSTOS_EMULATE_RUN = 1, /* as above */
	/* The same, and report what was done to the bytes of open pages in
	 * stepped; remember how to undo it until the process's next one. */
	CUSTOS_EMULATE_STEP = 2,
	/* Undo the last STEP of the process: registers, extended state, and
	 * the bytes of open pages. DONE, or CANNOT when there is none. */
	CUSTOS_EMULATE_UNDO = 3
};

enum custos_emulate_result {
	CUSTOS_EMULATE_DONE = 1,
	CUSTOS_EMULATE_NEED = 2,  /* see need */
	CUSTOS_EMULATE_FAULT = 3, /* the CPU would: vector, error_code, cr2 */
	CUSTOS_EMULATE_CANNOT = 4, /* no such emulation: insn has the bytes */
	CUSTOS_EMULATE_DENIED = 5, /* by a keeper of the monitor */
	CUSTOS_EMULATE_XSTATE = 6 /* needs xstate, which is 0: save it first */
};

struct custos_emulate_served {
	uint64_t va;
	uint32_t size; /* 1 to 64 */
	uint32_t kind; /* CUSTOS_ACCESS_LOAD, STORE, RMW_LOAD, .. FETCH */
	uint8_t data[64];
};

struct custos_emulate_open {
	uint64_t va;	 /* page aligned */
	uint64_t gpa;	 /* page aligned, in RAM */
	uint32_t rights; /* CUSTOS_SEGMENT_* */
	uint32_t reserved;
};

struct custos_emulate {
	/* kernel */
	uint64_t process;
	uint64_t cr3;
	uint64_t frame;	 /* gpa of the saved registers: gpr[16] in hardware
			  * order but for rsp, vector, error code, rip, cs,
			  * rflags, rsp, ss: 23 words, within one page */
	uint64_t xstate; /* gpa of boot_info.xsave_size bytes, standard form, in
			  * contiguous frames, holding the process's current
			  * state; or 0: not saved (yet) */
	uint64_t fs_base;
	uint32_t op;
	uint32_t served_count, open_count;
	uint32_t reserved;
	/* monitor */
	uint32_t result;
	uint32_t vector, error_code;
	uint32_t insn_size;
	uint8_t insn[16];
	uint64_t cr2;
	struct {
		uint64_t va;
		uint32_t size;
		uint32_t kind;
		uint8_t old[64];   /* RMW_STORE: what RMW_LOAD gave */
		uint8_t value[64]; /* stores */
	} need;
	uint32_t stepped_count;
	uint32_t xstate_changed; /* commit wrote to xstate */
	struct {
		uint64_t va;
		uint32_t size;
		uint32_t kind;
		uint8_t old[64], new[64];
	} stepped[CUSTOS_EMULATE_STEPPED_MAX];
	/* kernel */
	struct custos_emulate_open open[CUSTOS_OPEN_MAX];
	struct custos_emulate_served served[CUSTOS_SERVED_MAX];
};

#define CUSTOS_EMULATE_PAGES 2

#define CUSTOS_ABI_PAGE UINT64_C(4096)

_Static_assert(sizeof(struct custos_segment) == 40, "abi");
_Static_assert(offsetof(struct custos_segment, flags) == 32, "abi");
_Static_assert(sizeof(struct custos_module) == 48 + 8 * 40, "abi");
_Static_assert(offsetof(struct custos_module, entry) == 32, "abi");
_Static_assert(offsetof(struct custos_module, segments) == 48, "abi");
_Static_assert(sizeof(struct custos_device) == 48, "abi");
_Static_assert(sizeof(struct custos_cpu_state) == 64, "abi");
_Static_assert(sizeof(struct custos_saved_frame) == 23 * 8, "abi");
_Static_assert(offsetof(struct custos_boot_info, xcr0) == 32, "abi");
_Static_assert(offsetof(struct custos_boot_info, ram_base) == 40, "abi");
_Static_assert(offsetof(struct custos_boot_info, free_base) == 56, "abi");
_Static_assert(offsetof(struct custos_boot_info, kept_map) == 72, "abi");
_Static_assert(offsetof(struct custos_boot_info, flags) == 80, "abi");
_Static_assert(offsetof(struct custos_boot_info, cpus) == 96, "abi");
_Static_assert(offsetof(struct custos_boot_info, devices) == 96 + 1024, "abi");
_Static_assert(
	offsetof(struct custos_boot_info, modules) == 96 + 1024 + 768, "abi");
_Static_assert(offsetof(struct custos_boot_info, args) ==
		96 + 1024 + 768 + 16 * 368,
	"abi");
_Static_assert(sizeof(struct custos_boot_info) ==
		96 + 1024 + 768 + 16 * 368 + 4096 + 32 * 24,
	"abi");
_Static_assert(offsetof(struct custos_emulate, insn) == 72, "abi");
_Static_assert(offsetof(struct custos_emulate, need) == 96, "abi");
_Static_assert(offsetof(struct custos_emulate, stepped) == 248, "abi");
_Static_assert(offsetof(struct custos_emulate, open) == 248 + 8 * 144, "abi");
_Static_assert(
	offsetof(struct custos_emulate, served) == 1400 + 4 * 24, "abi");
_Static_assert(sizeof(struct custos_emulate) <=
		CUSTOS_EMULATE_PAGES * CUSTOS_ABI_PAGE,
	"abi");
_Static_assert(sizeof(struct custos_fault_report) == 22 * 8, "abi");

#endif
