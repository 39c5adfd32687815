/*
 * Amazon ECR: which hosts are its registries, the password that they take, new repositories.
 */
#ifndef SLIPWAY_AWS_ECR_H
#define SLIPWAY_AWS_ECR_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials.h"

/* What a registry's host says. */
struct ecr_host {
    bool is_public;   /* public.ecr.aws: no account, all calls go to us-east-1 */
    bool fips;        /* ACCOUNT.dkr.ecr-fips.REGION... */
    bool dual_stack;  /* ACCOUNT.dkr-ecr.REGION.on.aws */
    char account[13]; /* "" for public */
    char region[64];
    char domain[32]; /* "amazonaws.com" and those of other partitions; "" for public */
};

/* Whether HOST is a registry of ECR (the pattern of AWS's own credential helper). */
bool ecr_host_parse(const char *host, struct ecr_host *out);

/* A registry's user name and password. Owned. */
struct ecr_login {
    char *user;
    char *password;
    char *source;       /* whose keys bought them, for messages */
    int64_t expires_at; /* Unix time */
};

/* Frees what LOGIN holds. */
void ecr_login_release(struct ecr_login *login);

/* GetAuthorizationToken. ERR_AUTH where there are no keys, or they are refused. */
int ecr_get_login(struct aws_identity *identity, const struct ecr_host *host, struct ecr_login *out,
                  struct error *err);

/* Makes REPOSITORY in the registry of HOST. One that is there already is fine; *CREATED_OUT. */
int ecr_create_repository(struct aws_identity *identity, const struct ecr_host *host,
                          const char *repository, bool *created_out, struct error *err);

#endif
