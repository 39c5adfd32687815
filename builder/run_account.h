/*
 * Who a RUN is, from /etc/passwd and /etc/group of the unpacked layers: the whole tree of a large
 * base is not needed for two files.
 */
#ifndef SLIPWAY_BUILDER_RUN_ACCOUNT_H
#define SLIPWAY_BUILDER_RUN_ACCOUNT_H

#include "builder/account.h"
#include "builder/stack.h"

/* The account of USER ("": root) where LOWERS are STACK's layers as stack_unpack() gave them. OUT
 * is the caller's (account_release). Errors as account_of_user(). */
int run_account(struct stack *stack, const struct strlist *lowers, const char *user,
                struct account *out, struct error *err);

#endif
