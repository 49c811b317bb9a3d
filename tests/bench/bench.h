/* SPDX-License-Identifier: MIT */
#ifndef CUSTOS_TESTS_BENCH_H
#define CUSTOS_TESTS_BENCH_H

/*
 * Seconds per round trip of the least a monitor could do: a store to a closed
 * page, KVM_RUN returning EFAULT, rip set behind the store, KVM_RUN again.
 */
double bench_bare_exit(unsigned count);

#endif
