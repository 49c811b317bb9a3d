/* SPDX-License-Identifier: MIT */
/*
 * Counters. They are spread over shards with a lock each, sites by a hash of
 * where they are, ranges by their id: threads meet in one only when they do
 * the same thing at the same moment, and for some tens of nanoseconds then.
 */
#include "keeper/stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 16u /* power of two */
#define SHARD_SITES_MAX (STATS_SITES_MAX / SHARDS)
#define SLOTS_FIRST 64u /* power of two */

struct shard {
	_Alignas(64) pthread_mutex_t lock; /* guards the rest */
	struct stats_totals totals;
	struct stats_site *sites;
	uint32_t count, capacity;
	uint32_t *slots; /* open addressing: index into sites + 1; 0: free */
	uint32_t slot_count; /* power of two, more than twice count */
	uint64_t others; /* accesses of sites that did not fit */
	struct stats_totals *ranges; /* of ids that are our index mod SHARDS,
				      * at id / SHARDS */
	uint32_t range_count;
};

struct stats {
	struct shard shards[SHARDS];
};

struct stats *stats_create(void)
{
	struct stats *stats =
		aligned_alloc(_Alignof(struct stats), sizeof(*stats));

	if (!stats)
		return NULL;
	memset(stats, 0, sizeof(*stats));
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&stats->shards[i].lock, NULL);
	return stats;
}

void stats_destroy(struct stats *stats)
{
	if (!stats)
		return;
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &stats->shards[i];

		pthread_mutex_destroy(&shard->lock);
		free(shard->sites);
		free(shard->slots);
		free(shard->ranges);
	}
	free(stats);
}

static void add_one(struct stats_totals *totals,
	const struct access *access, enum outcome outcome)
{
	totals->accesses++;
	totals->kinds[access->kind]++;
	totals->outcomes[outcome]++;
}

static void add_totals(struct stats_totals *to, const struct stats_totals *of)
{
	to->accesses += of->accesses;
	for (int i = 0; i < ACCESS_KIND_MAX; i++)
		to->kinds[i] += of->kinds[i];
	for (int i = 0; i < OUTCOME_MAX; i++)
		to->outcomes[i] += of->outcomes[i];
}

/* ---- sites ---- */

static size_t name_len(const char *name)
{
	return strnlen(name, STATS_NAME_MAX - 1);
}

static uint64_t hash_place(const char *name, uint64_t ip)
{
	uint64_t h = ip * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0, n = name_len(name); i < n; i++)
		h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

static bool is_at(const struct stats_site *site, const char *name, uint64_t ip)
{
	size_t len = name_len(name);

	return site->ip == ip && !memcmp(site->process_name, name, len) &&
		!site->process_name[len];
}

/* The slot of the site, or the free one for it. There is one. */
static uint32_t *find_slot(
	struct shard *shard, uint64_t hash, const char *name, uint64_t ip)
{
	for (uint64_t i = hash / SHARDS;; i++) {
		uint32_t *slot = &shard->slots[i & (shard->slot_count - 1)];

		if (!*slot || is_at(&shard->sites[*slot - 1], name, ip))
			return slot;
	}
}

static bool grow_slots(struct shard *shard)
{
	uint32_t count = shard->slot_count ? shard->slot_count * 2
					   : SLOTS_FIRST;
	uint32_t *slots;

	if (shard->slot_count > 2 * (shard->count + 1))
		return true;
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return false;
	free(shard->slots);
	shard->slots = slots;
	shard->slot_count = count;
	for (uint32_t i = 0; i < shard->count; i++) {
		struct stats_site *site = &shard->sites[i];
		uint64_t hash = hash_place(site->process_name, site->ip);

		*find_slot(shard, hash, site->process_name, site->ip) = i + 1;
	}
	return true;
}

static bool grow_sites(struct shard *shard)
{
	uint32_t capacity = shard->capacity ? shard->capacity * 2 : 32;
	struct stats_site *sites;

	if (shard->count >= SHARD_SITES_MAX)
		return false;
	if (shard->count < shard->capacity)
		return true;
	sites = reallocarray(shard->sites, capacity, sizeof(*sites));
	if (!sites)
		return false;
	shard->sites = sites;
	shard->capacity = capacity;
	return true;
}

static void fill_site(struct stats_site *site, const struct access *access)
{
	*site = (struct stats_site){
		.process = access->process,
		.ip = access->ip,
		.first_seq = access->seq,
	};
	memcpy(site->process_name, access->process_name,
		name_len(access->process_name));
	if (!access->insn)
		return;
	site->insn_len = access->insn_len < ARCH_INSN_MAX ? access->insn_len
							  : ARCH_INSN_MAX;
	memcpy(site->insn, access->insn, site->insn_len);
}

static struct stats_site *find_site(
	struct shard *shard, uint64_t hash, const struct access *access)
{
	uint32_t *slot;

	if (!grow_slots(shard))
		return NULL;
	slot = find_slot(shard, hash, access->process_name, access->ip);
	if (*slot)
		return &shard->sites[*slot - 1];
	if (!grow_sites(shard))
		return NULL;
	fill_site(&shard->sites[shard->count], access);
	*slot = ++shard->count;
	return &shard->sites[shard->count - 1];
}

static void count_site(
	struct shard *shard, uint64_t hash, const struct access *access)
{
	struct stats_site *site = find_site(shard, hash, access);

	if (!site) {
		shard->others++;
		return;
	}
	site->count++;
	site->kinds[access->kind]++;
	/* Threads come here in another order than they got their numbers. */
	if (access->seq < site->first_seq)
		site->first_seq = access->seq;
	if (access->seq > site->last_seq)
		site->last_seq = access->seq;
}

/* ---- ranges ---- */

static void count_range(struct shard *shard, const struct access *access,
	enum outcome outcome)
{
	uint32_t index = access->range / SHARDS;
	struct stats_totals *ranges;
	uint32_t count;

	if (index >= shard->range_count) {
		count = index < UINT32_MAX / 2 ? index * 2 + 4 : UINT32_MAX;
		ranges = reallocarray(shard->ranges, count, sizeof(*ranges));
		if (!ranges)
			return;
		memset(ranges + shard->range_count, 0,
			(count - shard->range_count) * sizeof(*ranges));
		shard->ranges = ranges;
		shard->range_count = count;
	}
	add_one(&shard->ranges[index], access, outcome);
}

void stats_count(struct stats *stats, const struct access *access,
	enum outcome outcome)
{
	uint64_t hash = hash_place(access->process_name, access->ip);
	struct shard *shard = &stats->shards[hash & (SHARDS - 1)];

	pthread_mutex_lock(&shard->lock);
	add_one(&shard->totals, access, outcome);
	count_site(shard, hash, access);
	pthread_mutex_unlock(&shard->lock);

	shard = &stats->shards[access->range & (SHARDS - 1)];
	pthread_mutex_lock(&shard->lock);
	count_range(shard, access, outcome);
	pthread_mutex_unlock(&shard->lock);
}

/* ---- reading them ---- */

void stats_get_totals(struct stats *stats, struct stats_totals *out)
{
	*out = (struct stats_totals){ 0 };
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &stats->shards[i];

		pthread_mutex_lock(&shard->lock);
		add_totals(out, &shard->totals);
		pthread_mutex_unlock(&shard->lock);
	}
}

void stats_get_range(
	struct stats *stats, uint32_t range, struct stats_totals *out)
{
	struct shard *shard = &stats->shards[range & (SHARDS - 1)];

	*out = (struct stats_totals){ 0 };
	pthread_mutex_lock(&shard->lock);
	if (range / SHARDS < shard->range_count)
		*out = shard->ranges[range / SHARDS];
	pthread_mutex_unlock(&shard->lock);
}

/* Most often seen first; then the one seen earlier. */
static int compare_sites(const void *a, const void *b)
{
	const struct stats_site *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->first_seq != y->first_seq)
		return x->first_seq < y->first_seq ? -1 : 1;
	return x->ip < y->ip ? -1 : x->ip > y->ip;
}

struct stats_site *stats_get_sites(
	struct stats *stats, size_t *out_count, uint64_t *out_others)
{
	struct stats_site *all = NULL, *grown;
	size_t count = 0;

	*out_others = 0;
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &stats->shards[i];

		pthread_mutex_lock(&shard->lock);
		*out_others += shard->others;
		grown = shard->count ? reallocarray(all, count + shard->count,
					       sizeof(*all))
				     : NULL;
		if (grown) {
			all = grown;
			memcpy(all + count, shard->sites,
				shard->count * sizeof(*all));
			count += shard->count;
		}
		pthread_mutex_unlock(&shard->lock);
	}
	if (count)
		qsort(all, count, sizeof(*all), compare_sites);
	*out_count = count;
	return all;
}
