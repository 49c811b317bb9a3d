/* SPDX-License-Identifier: MIT */
#include "base/log.h"

int main(void)
{
	log_init();
	return 0;
}
