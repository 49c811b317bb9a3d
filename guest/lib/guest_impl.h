/* SPDX-License-Identifier: MIT */
/* Shared by the files of the library only. */
#ifndef CUSTOS_GUEST_LIB_IMPL_H
#define CUSTOS_GUEST_LIB_IMPL_H

struct custos_start_info;

extern const struct custos_start_info *guest_info;

/* The program's; it may well be defined without the arguments. */
int main(int argc, char **argv);

/* Find out which slots are in use. */
void guest_caps_init(void);

#endif
