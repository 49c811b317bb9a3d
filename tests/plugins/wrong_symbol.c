/* SPDX-License-Identifier: MIT */
/* A library like any other. */
int not_a_plugin(void);
int not_a_plugin(void)
{
	return 1;
}
