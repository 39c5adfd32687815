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

/* Whether TEXT ("1000", "root", "5:root", ...) can be answered without looking into an image: only
 * numbers and root, as BuildKit's file operations read them. */
bool account_is_numeric(const char *text);

/* Whom TEXT, "user[:group]" of --chown or of USER for WORKDIR, makes files belong to (BuildKit's
 * file operations). A number given alone is the group's too; a name has the group of its passwd
 * line; an empty group is 0. A name that the image does not have counts as 0 and stands in
 * *MISSING_OUT, borrowed from TEXT; NULL: there is none. TREE may be NULL where
 * account_is_numeric(). */
int account_owner(struct tree *tree, const char *text, struct owner *out, const char **missing_out,
                  struct error *err);

/* USER for RUN: with supplementary groups and home; "" is root. A name that the image does not have
 * is ERR_STEP. */
int account_of_user(struct tree *tree, const char *text, struct account *out, struct error *err);

#endif
