/*
 * Names of users and groups, looked up in the image's own /etc/passwd and /etc/group.
 */
#ifndef SLIPWAY_BUILDER_ACCOUNT_H
#define SLIPWAY_BUILDER_ACCOUNT_H

#include "builder/edit.h"
#include "oci/tree.h"

/* Who a RUN is. */
struct account {
    uint32_t uid;
    uint32_t gid;
    uint32_t *groups; /* supplementary, owned */
    size_t groups_len;
    char *home; /* owned; "/" where nothing is known */
};

/* Frees what ACCOUNT holds. */
void account_release(struct account *account);

/* Whether TEXT ("user", "1000", "user:group", ...) can be answered without looking into an image:
 * only numbers, both given. */
bool account_is_numeric(const char *text);

/* --chown: "user[:group]". A user given alone gives the group of the same number, or of its passwd
 * line. TREE may be NULL where account_is_numeric(). A name that the image does not have is
 * ERR_STEP. */
int account_owner(struct tree *tree, const char *text, struct owner *out, struct error *err);

/* USER: as above with supplementary groups and home; "" is root. */
int account_of_user(struct tree *tree, const char *text, struct account *out, struct error *err);

#endif
