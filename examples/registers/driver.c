/* SPDX-License-Identifier: MIT */
/*
 * driver [careless]: starts a timer and waits for it. The careless one does
 * what real drivers have done: on hardware most of it goes unnoticed.
 */
#include <custos/guest.h>

struct timer {
	uint32_t id;
	uint32_t control;
	uint32_t status;
	uint32_t event;
	uint32_t count;
	uint32_t left;
};

enum { ENABLE = 1, MODE_ONCE = 2 << 1, IDLE = 1, EXPIRED = 1 };

PAGE_ALIGNED static uint8_t window[PAGE_SIZE];
static volatile struct timer *const timer = (void *)window;

static void start(uint32_t count, bool careless)
{
	timer->count = count;
	timer->control = ENABLE | MODE_ONCE | (careless ? 1 << 7 : 0);
}

static void acknowledge(bool careless)
{
	if (careless) {
		timer->event = timer->event & ~(uint32_t)EXPIRED;
		timer->status = IDLE;
	} else {
		timer->event = EXPIRED;
	}
}

int main(int argc, char **argv)
{
	bool careless = argc > 1 && !strcmp(argv[1], "careless");

	assert(!memory_map(cap_find("chip"), window,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
	assert(timer->id == 0x314d4954);
	start(1000, careless);
	while (timer->status & IDLE || !(timer->event & EXPIRED))
		;
	acknowledge(careless);
	timer->control = 0;
	printf("expired, left %u, event %u\n", timer->left, timer->event);
	return 0;
}
