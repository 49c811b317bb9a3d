/* SPDX-License-Identifier: MIT */
/* A program that is only looked at: variables, and functions inlined. */
struct lock {
	volatile int owner;
	int waiters;
};

struct slot {
	int id;
	union {
		long whole;
		struct {
			short low, high;
		};
	};
	unsigned flag : 3, mode : 9;
};

struct ctx {
	int first;
	struct lock lock;
	struct slot slots[4];
	char names[2][8];
	struct ctx *next;
};

struct ctx ctx;
long plain;
void _start(void);

static inline __attribute__((always_inline)) void take(struct lock *lock)
{
	lock->owner = 7;
}

static inline __attribute__((always_inline)) void step(void)
{
	take(&ctx.lock);
}

__attribute__((noinline)) static int count(void)
{
	static volatile int calls;

	return ++calls;
}

void _start(void)
{
	step();
	plain = count();
}
