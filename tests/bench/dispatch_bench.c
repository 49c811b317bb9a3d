/* SPDX-License-Identifier: MIT */
/*
 * What finding the ranges and keepers of an access costs, as a ratio to one
 * range on one page, when there are a thousand: from the stop to the thread's
 * going on, without a machine. The page is another one every time, so the
 * figures of many pages hold the caches' misses, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/plugin.h"
#include "session/session.h"
#include "tests/support/fake_target.h"
#include "tests/support/guest_run.h"
#include "tests/support/tiny_elf.h"

#define ROUNDS 5
#define RANGES_MAX 1000

static struct fake_target fake;
static unsigned accesses = 300000;

struct kind {
	const char *name;
	unsigned ranges;
	uint64_t stride; /* from one range to the next */
	double best; /* seconds an access */
	bool granted; /* each, to the one process there is */
};

static enum keeper_status grant_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)keeper;
	(void)access;
	(void)err;
	verdict->kind = VERDICT_GRANT;
	return KEEPER_OK;
}

static void grant_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops grant_ops = {
	.name = "grant",
	.access = grant_access,
	.destroy = grant_destroy,
};

struct bench {
	const struct kind *kind;
	double seconds;
};

static void body(struct fake_target *f, void *ctx)
{
	static const uint8_t load[] = { 0x8b, 0x03 }; /* mov eax,[rbx] */
	struct bench *b = ctx;
	struct arch_regs *regs = &f->threads[0].regs;
	double started = guest_run_now();

	for (unsigned i = 0; i < accesses; i++) {
		/* 617 is prime: all of them, in no order. */
		uint64_t at = (uint64_t)i * 617 % b->kind->ranges;

		regs->rip = FAKE_CODE;
		regs->gpr[ARCH_RBX] = FAKE_DATA + at * b->kind->stride;
		fake_target_run_insn(f, 0, load, sizeof(load));
	}
	b->seconds = guest_run_now() - started;
}

static void need(int ret, const struct error *err)
{
	if (!ret)
		return;
	fprintf(stderr, "bench: %s\n", err->text);
	exit(1);
}

static void add_ranges(const struct kind *kind, struct range_set *set,
	const struct image *image, struct keeper *keeper)
{
	struct error err = { 0 };
	char text[64];

	for (unsigned i = 0; i < kind->ranges; i++) {
		snprintf(text, sizeof(text), "0x%llx+4",
			(unsigned long long)(FAKE_DATA + i * kind->stride));
		need(range_set_add(set, text, &image, 1, keeper, VERDICT_PASS,
			     NULL, &err),
			&err);
	}
}

static double per_access(const struct kind *kind, struct image *image)
{
	struct bench bench = { .kind = kind };
	struct session_config config = {
		.target = &fake.target,
		.ranges = range_set_create(),
		.names = names_create(),
	};
	struct keeper granting, *keeper = keeper_pass_create();
	struct session_summary summary;
	struct target_result result;
	struct session *session;
	struct error err = { 0 };

	fake_target_init(&fake);
	memset(fake.unmapped, 0, sizeof(fake.unmapped));
	fake.process.image = image;
	fake.body = body;
	fake.body_ctx = &bench;
	keeper_init(&granting, &grant_ops);
	add_ranges(kind, config.ranges, image,
		kind->granted ? &granting : keeper);
	need(session_create(&config, &session, &err), &err);
	need(session_run(session, &result, &err), &err);
	session_summary(session, &summary);
	if (summary.accesses != accesses) {
		fprintf(stderr, "bench: %llu of %u accesses seen\n",
			(unsigned long long)summary.accesses, accesses);
		exit(1);
	}
	session_destroy(session);
	range_set_destroy(config.ranges);
	names_destroy(config.names);
	keeper_destroy(keeper);
	keeper_destroy(&granting);
	return bench.seconds / accesses;
}

int main(int argc, char **argv)
{
	struct kind kinds[] = {
		{ "1 range on 1 page", 1, 4096, 1, false },
		{ "10 ranges on 10 pages", 10, 4096, 1, false },
		{ "100 ranges on 100 pages", 100, 4096, 1, false },
		{ "1000 ranges on 1000 pages", 1000, 4096, 1, false },
		{ "10 ranges on 1 page", 10, 4, 1, false },
		{ "100 ranges on 1 page", 100, 4, 1, false },
		{ "1000 ranges on 1 page", 1000, 4, 1, false },
		{ "1 range, granted", 1, 4096, 1, true },
		{ "1000 ranges, granted", 1000, 4096, 1, true },
	};
	const unsigned count = sizeof(kinds) / sizeof(kinds[0]);
	const struct tiny_segment segments[] = {
		{ FAKE_CODE, (const uint8_t *)"\xcc", 1, 4096, PF_R | PF_X },
		{ FAKE_DATA, (const uint8_t *)"\0", 1,
			(FAKE_PAGES - 1) * 4096, PF_R | PF_W },
	};
	struct error err = { 0 };
	struct image *image;
	size_t size;
	void *elf = tiny_elf_make(segments, 2, FAKE_CODE, &size);

	if (getenv("CUSTOS_TEST_SCALE"))
		accesses /= 10;
	if (argc > 1) /* for a profiler: so many accesses of the first kind */
		accesses = (unsigned)atoi(argv[1]);
	need(image_open_memory("fake", elf, size, &image, &err), &err);
	for (unsigned round = 0; round < (argc > 1 ? 1 : ROUNDS); round++)
		for (unsigned i = 0; i < (argc > 1 ? 1 : count); i++) {
			double t = per_access(&kinds[i], image);

			if (t < kinds[i].best)
				kinds[i].best = t;
		}
	printf("custos's own part of an access, best of %d rounds of %u:\n",
		ROUNDS, accesses);
	for (unsigned i = 0; argc == 1 && i < count; i++)
		printf("  %-26s %8.0f ns  %5.2f x\n", kinds[i].name,
			kinds[i].best * 1e9, kinds[i].best / kinds[0].best);
	image_close(image);
	free(elf);
	return 0;
}
