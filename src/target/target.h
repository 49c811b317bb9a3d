/* SPDX-License-Identifier: MIT */
/*
 * What a debugged thing offers, whatever it is: a virtual machine (vmm) or a
 * process (ptrace). A target runs threads (vCPUs or traced threads), in
 * parallel, each served by a host thread of its own. Some page frames are
 * closed: an access to one stops the thread before the instruction has any
 * effect and calls the handler, on that thread's host thread; when it returns,
 * the thread goes on from the registers it then has.
 */
#ifndef CUSTOS_TARGET_TARGET_H
#define CUSTOS_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <custos/arch.h>

#include "abi/custos_abi.h"
#include "base/error.h"
#include "image/image.h"

struct target;
struct target_thread;

typedef uint64_t frame_t; /* number of a page frame, unique in its target */
typedef uint64_t space_t; /* an address space (cr3 of a guest, a pid, ...) */

#define TARGET_NAME_MAX 32

/* Lives, unchanged, as long as its target: ids are never used twice. */
struct target_process {
	uint64_t id; /* never 0 */
	char name[TARGET_NAME_MAX];
	const struct image *image; /* NULL when unknown */
	space_t space;
};

/* A page as the target's own memory management maps it. */
struct target_page {
	frame_t frame;
	uint8_t *bytes; /* the frame's bytes, always accessible to us; NULL for
			 * a device page, which has none */
	bool closed;
};

/* A copy the guest's kernel wants made to or from user memory (kind is one of
 * the ipc or syscall kinds); within one page. */
struct target_copy {
	enum access_kind kind;
	space_t space;
	uint64_t ip; /* of the system call; 0: not known */
	uint64_t address; /* user va */
	uint8_t *kernel_bytes; /* source or destination in the kernel */
	uint32_t size;
	/* Of the process whose memory it is, at its system call; NULL: not
	 * known. */
	const struct arch_regs *regs;
};

/* Where does a page of a space lead, if it is mapped when somebody wants it? */
struct target_where {
	space_t space;
	uint64_t va; /* page aligned */
	bool found; /* the answer */
	struct target_page page;
};

enum target_copy_result {
	TARGET_COPY_DONE,
	TARGET_COPY_DENIED,
	TARGET_COPY_FAULT, /* not mapped, or not with these rights */
};

/*
 * An instruction of a process, which its kernel wants carried out: struct
 * custos_emulate says what that means. emulate is a copy, counts, sizes and
 * addresses in it have been checked; results go into its members, regs and
 * xstate.
 */
struct target_emulate {
	struct custos_emulate *emulate;
	const struct target_process *process; /* has not ended */
	struct arch_regs regs;
	struct arch_xstate *xstate; /* NULL: has not been saved */
	/* Of emulate->open. */
	struct target_page open[CUSTOS_OPEN_MAX];
};

enum target_resume {
	TARGET_RESUME,
	TARGET_STOP, /* end the run: target_run() returns TARGET_STOPPED */
};

/*
 * How the user of a target learns of things. Callbacks run on the host thread
 * of the thread concerned, several at once; none may block for long but to
 * wait for another of the target's threads.
 */
struct target_handler {
	void *ctx;
	/* An instruction is about to touch a closed page, or was fetched from
	 * one. Nothing of it has happened. */
	enum target_resume (*access)(void *ctx, struct target_thread *thread);
	enum target_copy_result (*copy)(void *ctx, struct target_thread *thread,
		const struct target_copy *copy);
	/* May be NULL. */
	void (*emulate)(void *ctx, struct target_thread *thread,
		struct target_emulate *emulate);
	/* What addresses lead to changed, in some space. */
	void (*spaces_changed)(void *ctx, struct target_thread *thread);
	/* Behind that, behind process_start() and when target_watch_spaces() said
	 * so, until there are no more questions: what was asked the last
	 * time is answered; puts the next questions, at most max, into
	 * questions and returns their number. May be NULL. */
	unsigned (*where)(void *ctx, struct target_thread *thread,
		const struct target_where *answers, unsigned count,
		struct target_where *questions, unsigned max);
	/* Its mappings exist, it has not run. */
	void (*process_start)(void *ctx, struct target_thread *thread,
		const struct target_process *process);
	/* It will not run again; its frames are not yet used for others. */
	void (*process_exit)(void *ctx, struct target_thread *thread,
		const struct target_process *process, int64_t code);
	/* All that process `before' has done happened before anything that
	 * process `after' will do from now on (a message, a start, an end
	 * waited for). May be NULL. */
	void (*ordered)(void *ctx, uint64_t before, uint64_t after);
	/* The process says something for the record: not a C string, any
	 * bytes. May be NULL. */
	void (*mark)(void *ctx, const struct target_process *process,
		const char *text, size_t len);
	/* The order in which threads work in the target's own kernel, when it
	 * is to be told or repeated. begins: this one does now. Else: may it
	 * be the next? Asked again and again until it may. May be NULL. */
	bool (*turn)(void *ctx, struct target_thread *thread, bool begins);
	/* Bytes [offset, offset + size) of a closed frame were loaded or
	 * stored and nobody was asked: the guest's kernel did it, or a KVM
	 * that emulates, and there was no other way. Over already. May be
	 * NULL. */
	void (*unseen)(void *ctx, struct target_thread *thread, frame_t frame,
		uint32_t offset, uint32_t size, bool stored);
	/* Text for people about the target's misfortune: a process's fault,
	 * a panic with registers and backtrace. Complete lines. */
	void (*report)(void *ctx, const char *text, size_t len);
};

enum target_end {
	TARGET_EXITED, /* code is the target's own exit code */
	TARGET_STOPPED, /* target_stop() or the handler said so */
	TARGET_CRASHED, /* it broke (triple fault, kernel panic): reported */
	TARGET_FAILED, /* host trouble: err says what */
};

struct target_result {
	enum target_end end;
	int code;
};

void target_destroy(struct target *target); /* NULL is fine */

/* "vm", "process" */
const char *target_kind(const struct target *target);

/*
 * Run until the target ends or is stopped; the handler must stay valid. Once
 * per target. All its threads have ended when this returns.
 */
int target_run(struct target *target, const struct target_handler *handler,
	struct target_result *out_result, struct error *err);

/* Ask the run to end soon. From any thread, or from a signal handler. */
void target_stop(struct target *target);

/* The process with this address space, or NULL. Any thread. */
const struct target_process *target_process_of(
	struct target *target, space_t space);

/*
 * Close pages to every thread of the target, or open them again; idempotent.
 * On return of close no access that began before can still be under way. Any
 * thread. -ENOENT when frame is not one that can be closed (page tables, no
 * memory there): err says why.
 */
int target_close_page(struct target *target, frame_t frame, struct error *err);
int target_open_page(struct target *target, frame_t frame, struct error *err);

/*
 * The frames of the device pages called name (a target without devices has
 * none): *out_first and *out_count frames on. They have no bytes and are
 * always closed.
 */
bool target_device(struct target *target, const char *name, frame_t *out_first,
	uint64_t *out_count);

/*
 * Translate va in space for an access of this kind by user code. On success
 * fills *page. Otherwise returns false and fills *fault with the page fault
 * the CPU would raise. Any thread.
 */
bool target_translate(struct target *target, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault);

/* The page that va is mapped to in space, whatever the rights. Any thread. */
bool target_find_page(struct target *target, space_t space, uint64_t va,
	struct target_page *page);

/* Does the handler want spaces_changed()? And (asks) where() as soon as
 * possible: before user code meets what is not mapped now. */
void target_watch_spaces(struct target *target, bool watch, bool asks);

/* Read or write memory of space behind everybody's back, whatever the rights
 * (a debugger's look: makes no events). Returns bytes done, from the start. */
size_t target_read(struct target *target, space_t space, uint64_t va,
	void *bytes, size_t len);
size_t target_write(struct target *target, space_t space, uint64_t va,
	const void *bytes, size_t len);

/*
 * The first page of user memory at or behind va that is mapped in space and
 * has bytes: its address and them. False: there is none. Behind everybody's
 * back, as target_read().
 */
bool target_next_page(struct target *target, space_t space, uint64_t va,
	uint64_t *out_va, const uint8_t **out_bytes);

/* ---- one thread; only from its own host thread, inside a callback ---- */

unsigned target_thread_index(const struct target_thread *thread); /* cpu */
struct target *target_thread_target(const struct target_thread *thread);
/* Who runs on it; NULL: the kernel itself. */
const struct target_process *target_thread_process(
	struct target_thread *thread);
space_t target_thread_space(struct target_thread *thread);
/* Does it run user code (CPL 3)? */
bool target_thread_is_user(struct target_thread *thread);

/* Valid until the callback returns or the thread is stepped. */
const struct arch_regs *target_thread_regs(struct target_thread *thread);
void target_thread_set_regs(
	struct target_thread *thread, const struct arch_regs *regs);

int target_thread_get_xstate(struct target_thread *thread,
	struct arch_xstate *xstate, struct error *err);
int target_thread_set_xstate(struct target_thread *thread,
	const struct arch_xstate *xstate, struct error *err);

/*
 * Have the thread's kernel see this fault at its present rip when the
 * callback returns.
 */
void target_thread_fault(
	struct target_thread *thread, const struct arch_fault *fault);

enum target_step {
	TARGET_STEP_DONE, /* one instruction (one rep iteration) retired */
	TARGET_STEP_FAULT, /* it faulted: nothing retired, *fault says what */
	TARGET_STEP_CANNOT, /* not possible here: err says why */
};

/*
 * Execute the instruction at rip on the real CPU with the closed pages that
 * hold the va's given (one each, any offset) open to this thread alone; pages
 * not named stay closed. On DONE the registers are those after. On FAULT they
 * are those before: pass the fault on with target_thread_fault() or do
 * something else. A step that needs yet another closed page: FAULT with
 * *fault.vector == ARCH_VECTOR_PF and fault.error_code == 0 never happens
 * for guests' own faults of user code, so it marks this case; fault.address is
 * in the page.
 */
enum target_step target_thread_step(struct target_thread *thread,
	const uint64_t *open_va, size_t count, struct arch_fault *fault,
	struct error *err);

#endif
