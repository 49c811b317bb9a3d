/* SPDX-License-Identifier: MIT */
/*
 * A driver for a divider on a bus that does not exist: registers are loaded
 * and stored as of any device, and behind them is only a script.
 */
#include <custos/guest.h>

enum { STATUS_BUSY = 1, STATUS_ERROR = 2, CONTROL_START = 1 };

struct divider {
	uint32_t id; /* "DIV1" */
	uint32_t control;
	uint32_t status;
	uint32_t dividend;
	uint32_t divisor;
	uint32_t quotient;
	uint32_t remainder;
	uint32_t reserved;
};

PAGE_ALIGNED static uint8_t window[PAGE_SIZE];
static volatile struct divider *const divider = (void *)window;

static int divide(uint32_t dividend, uint32_t divisor)
{
	unsigned polls = 0;
	uint32_t status;

	divider->dividend = dividend;
	divider->divisor = divisor;
	divider->control = CONTROL_START;
	do {
		status = divider->status;
		polls++;
	} while (status & STATUS_BUSY);
	printf("%u / %u: ", dividend, divisor);
	if (status & STATUS_ERROR)
		printf("error after %u polls\n", polls);
	else
		printf("%u remainder %u after %u polls\n", divider->quotient,
			divider->remainder, polls);
	return status & STATUS_ERROR ? 1 : 0;
}

int main(void)
{
	int errors = 0;

	assert(!memory_map(cap_find("divider"), window,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
	assert(divider->id == 0x31564944);
	errors += divide(100, 7);
	errors += divide(4000000000u, 1000);
	errors += divide(1, 0);
	return errors == 1 ? 0 : 1;
}
