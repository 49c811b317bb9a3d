/* SPDX-License-Identifier: MIT */
/* A session on the fake target, with keepers that are functions of a test. */
#ifndef CUSTOS_TESTS_SESSION_RIG_H
#define CUSTOS_TESTS_SESSION_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/keeper.h"
#include "session/session.h"
#include "tests/support/fake_target.h"
#include "tests/support/tests.h"
#include "tests/support/tiny_elf.h"

struct rig;

/* A keeper that calls the test's functions; NULL ones pass and continue. */
struct rig_keeper {
	struct keeper keeper;
	struct rig *rig;
	_Atomic unsigned asked, stepped, told;
	enum keeper_status (*access)(struct rig_keeper *k,
		const struct access *access, struct verdict *verdict,
		struct error *err);
	enum keeper_status (*on_stepped)(struct rig_keeper *k,
		const struct access *access, struct verdict *verdict,
		struct error *err);
};

struct rig {
	struct fake_target *fake;
	struct rig_keeper keeper, other;
	struct image *image;
	struct range_set *ranges;
	struct names *names;
	struct session *session;
	struct session_summary summary;
	struct target_result result;
	char said[2048];
	void *test; /* the test's own */
};

static inline enum keeper_status rig_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct rig_keeper *k = (struct rig_keeper *)keeper;

	k->asked++;
	return k->access ? k->access(k, access, verdict, err) : KEEPER_OK;
}

static inline enum keeper_status rig_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct rig_keeper *k = (struct rig_keeper *)keeper;

	(void)report;
	k->stepped++;
	return k->on_stepped ? k->on_stepped(k, access, verdict, err) :
			       KEEPER_OK;
}

static inline void rig_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	(void)access;
	(void)outcome;
	(void)final_bytes;
	((struct rig_keeper *)keeper)->told++;
}

static inline void rig_keeper_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops rig_ops = {
	.name = "rig",
	.help = "asks the test",
	.access = rig_access,
	.stepped = rig_stepped,
	.destroy = rig_keeper_destroy,
};

static inline void rig_said(void *ctx, const char *text, size_t len)
{
	struct rig *r = ctx;
	size_t used = strlen(r->said);

	if (used + len < sizeof(r->said))
		memcpy(r->said + used, text, len);
}

/* Set before rig_setup(); NULL otherwise. */
static const struct session_recorder *rig_recorder;
static const struct session_order *rig_order;

static struct fake_target rig_fake;
static void *rig_elf;

static inline struct image *rig_image(void)
{
	static const uint8_t code[16] = { 0xcc };
	const struct tiny_segment segments[] = {
		{ FAKE_CODE, code, 16, 4096, PF_R | PF_X },
		{ FAKE_DATA, code, 16, 7 * 4096, PF_R | PF_W },
	};
	struct image *image;
	struct error err = { 0 };
	size_t size;

	rig_elf = tiny_elf_make(segments, 2, FAKE_CODE, &size);
	if (image_open_memory("fake", rig_elf, size, &image, &err))
		fail_msg("%s", err.text);
	return image;
}

/* decided is told of accesses with the rig, first in whatever it is part of;
 * may be NULL. */
static inline void rig_init(struct rig *r,
	void (*decided)(void *ctx, const struct access *access,
		enum outcome outcome))
{
	struct session_config config;
	struct error err;

	r->fake = &rig_fake;
	fake_target_init(r->fake);
	r->image = rig_image();
	r->fake->process.image = r->image;
	keeper_init(&r->keeper.keeper, &rig_ops);
	keeper_init(&r->other.keeper, &rig_ops);
	r->keeper.rig = r->other.rig = r;
	r->ranges = range_set_create();
	r->names = names_create();
	config = (struct session_config){
		.target = &r->fake->target,
		.ranges = r->ranges,
		.names = r->names,
		.decided = decided,
		.recorder = rig_recorder,
		.order = rig_order,
		.report = rig_said,
		.ctx = r,
	};
	assert_int_equal(session_create(&config, &r->session, &err), 0);
}

static inline void rig_fini(struct rig *r)
{
	session_destroy(r->session);
	range_set_destroy(r->ranges);
	names_destroy(r->names);
	image_close(r->image);
	free(rig_elf);
	keeper_destroy(&r->keeper.keeper);
	keeper_destroy(&r->other.keeper);
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	rig_init(r, NULL);
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static inline struct range *rig_keep(struct rig *r, const char *text,
	struct keeper *keeper, enum verdict_kind fallback)
{
	const struct image *images[] = { r->image };
	struct range *range = NULL;
	struct error err = { 0 };

	if (range_set_add(r->ranges, text, images, 1, keeper, fallback, &range,
		    &err))
		fail_msg("%s", err.text);
	return range;
}

static inline void rig_go(
	struct rig *r, void (*body)(struct fake_target *fake, void *ctx))
{
	struct error err;

	r->fake->body = body;
	r->fake->body_ctx = r;
	assert_int_equal(session_run(r->session, &r->result, &err), 0);
	session_summary(r->session, &r->summary);
}

/* cpu executes code, which starts with rbx pointing at the data. */
static inline enum target_resume rig_run(
	struct rig *r, unsigned cpu, const char *code, size_t len)
{
	struct fake_thread *t = &r->fake->threads[cpu];

	t->regs.gpr[ARCH_RBX] = FAKE_DATA;
	return fake_target_run_insn(r->fake, cpu, code, len);
}

#define RIG_RUN(rig, cpu, code) rig_run(rig, cpu, code, sizeof(code) - 1)
#define RIG_LOAD "\x48\x8b\x03" /* mov rax, [rbx] */
#define RIG_STORE "\x48\x89\x03" /* mov [rbx], rax */
#define RIG_INC "\xf0\x48\xff\x03" /* lock inc qword [rbx] */

static inline uint64_t rig_word(struct rig *r)
{
	uint64_t v;

	memcpy(&v, fake_target_byte(r->fake, FAKE_DATA), sizeof(v));
	return v;
}

#endif
