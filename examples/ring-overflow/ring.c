/* SPDX-License-Identifier: MIT */
/*
 * A queue of samples in a ring buffer, and beside it the limit that nobody
 * but set_limit() may change. It changes all the same.
 */
#include <custos/guest.h>

#define RING_SIZE 8

struct sampler {
	uint32_t ring[RING_SIZE];
	uint32_t limit; /* the neighbour */
	uint32_t next;
	uint32_t dropped;
};

struct sampler sampler;

__attribute__((noinline)) static void set_limit(uint32_t limit)
{
	sampler.limit = limit;
}

__attribute__((noinline)) static void ring_push(uint32_t sample)
{
	if (sampler.next > RING_SIZE) /* should be >= */
		sampler.next = 0;
	sampler.ring[sampler.next++] = sample; /* the bad store */
}

__attribute__((noinline)) static void take_sample(uint32_t sample)
{
	if (sample > *(volatile uint32_t *)&sampler.limit)
		sampler.dropped++;
	else
		ring_push(sample);
}

int main(void)
{
	uint32_t sample;

	set_limit(100);
	for (sample = 1; sample <= 20; sample++)
		take_sample(sample);
	printf("limit %u, dropped %u of 20 samples\n", sampler.limit,
		sampler.dropped);
	return sampler.dropped ? 1 : 0;
}
