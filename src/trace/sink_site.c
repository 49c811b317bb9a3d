/* SPDX-License-Identifier: MIT */
/*
 * Naming an instruction (symbol, line, disassembly) takes microseconds and is
 * the same every time; programs touch kept memory from few places, often. So
 * what was composed is kept by (process, address). When a hostile or huge
 * program fills the cache it is emptied and starts again: memory is bounded,
 * and the answer is never wrong.
 */
#include "trace/sink_impl.h"

#include <stdlib.h>
#include <string.h>

#define SITES_CAPACITY 8192u /* power of two */
#define SITES_MAX (SITES_CAPACITY / 2)

struct site {
	bool used;
	uint8_t insn_len;
	uint8_t insn[ARCH_INSN_MAX];
	uint64_t process, ip;
	struct buf text;
};

struct site_cache {
	unsigned count;
	struct buf none;
	struct site sites[SITES_CAPACITY];
};

struct site_cache *site_cache_create(void)
{
	return calloc(1, sizeof(struct site_cache));
}

static void forget_all(struct site_cache *cache)
{
	for (unsigned i = 0; i < SITES_CAPACITY; i++)
		if (cache->sites[i].used)
			buf_fini(&cache->sites[i].text);
	memset(cache->sites, 0, sizeof(cache->sites));
	cache->count = 0;
}

void site_cache_destroy(struct site_cache *cache)
{
	if (!cache)
		return;
	forget_all(cache);
	free(cache);
}

static uint64_t mix(uint64_t process, uint64_t ip)
{
	uint64_t h = ip * UINT64_C(0x9e3779b97f4a7c15);

	h ^= process * UINT64_C(0xc2b2ae3d27d4eb4f);
	return h ^ h >> 29;
}

/* The site of access, or the free place for it. */
static struct site *look_up(
	struct site_cache *cache, const struct access *access)
{
	uint64_t i = mix(access->process, access->ip);

	for (;; i++) {
		struct site *site = &cache->sites[i & (SITES_CAPACITY - 1)];

		if (!site->used || (site->ip == access->ip &&
					   site->process == access->process))
			return site;
	}
}

static uint8_t insn_len(const struct access *access)
{
	if (!access->insn)
		return 0;
	return access->insn_len < ARCH_INSN_MAX ? access->insn_len
						: ARCH_INSN_MAX;
}

static bool same_insn(const struct site *site, const struct access *access)
{
	return site->insn_len == insn_len(access) &&
		!memcmp(site->insn, access->insn ? access->insn : site->insn,
			site->insn_len);
}

static void compose(struct site *site, const struct sink_format *format,
	const struct trace_names *names, const struct access *access)
{
	site->ip = access->ip;
	site->process = access->process;
	site->insn_len = insn_len(access);
	if (site->insn_len)
		memcpy(site->insn, access->insn, site->insn_len);
	buf_reset(&site->text);
	format->site(names, access, &site->text);
}

const struct buf *site_cache_get(struct site_cache *cache,
	const struct sink_format *format, const struct trace_names *names,
	const struct access *access)
{
	struct site *site = look_up(cache, access);

	if (site->used && same_insn(site, access))
		return &site->text;
	if (!site->used) {
		if (cache->count >= SITES_MAX) {
			forget_all(cache);
			site = look_up(cache, access);
		}
		site->used = true;
		cache->count++;
	}
	compose(site, format, names, access);
	return site->text.failed ? &cache->none : &site->text;
}
