/*
 * Modes as --chmod and mode= have them: octal ("755", "04755") or symbolic as chmod(1) reads it
 * ("u=rwX,go=rX", "+x").
 *
 * A plain value of fixed size; copy it freely. There is no umask: a clause without letters of whom
 * it is about counts for all.
 */
#ifndef SLIPWAY_BUILDER_CHMOD_H
#define SLIPWAY_BUILDER_CHMOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { CHMOD_OPS_MAX = 64 };

/* One clause's operation. */
struct chmod_op {
    char op;       /* '=', '+' or '-' */
    uint16_t who;  /* bits that the operation may touch (07777 mask) */
    uint16_t bits; /* bits to set or clear, within `who` */
    bool exec_if;  /* X: execution where it is a folder or somebody may execute already */
    char copy;     /* 'u', 'g', 'o': the bits that these have now; 0: none */
};

struct chmod {
    bool octal;
    uint16_t mode; /* octal: the mode itself */
    struct chmod_op ops[CHMOD_OPS_MAX];
    size_t ops_len;
};

/* Reads TEXT. What it does not understand, or more than CHMOD_OPS_MAX clauses, is ERR_USAGE. */
int chmod_parse(const char *text, struct chmod *out, struct error *err);

/* The mode (07777) that a file of MODE gets. */
uint32_t chmod_apply(const struct chmod *c, uint32_t mode, bool is_dir);

#endif
