/* SPDX-License-Identifier: MIT */
/* With fixture.S, a program that is only looked at: lines and unwinding. */
int ring[8];
void bad_store(int i);
void other(void);

#line 41 "ring.c"
void bad_store(int i)
{
	ring[i] = i;
}
#line 7 "other.c"
void other(void)
{
	ring[0]++;
}
