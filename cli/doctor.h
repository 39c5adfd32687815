/*
 * `doctor`: what this machine allows, as a list of findings. Nothing here runs a docker credential
 * helper or shows a secret; the network is asked only for AWS's keys, as a push to ECR would.
 */
#ifndef SLIPWAY_CLI_DOCTOR_H
#define SLIPWAY_CLI_DOCTOR_H

#include <stddef.h>

enum finding_status {
    FINDING_OK,
    FINDING_NOTE,   /* works, and could be better */
    FINDING_PROBLEM /* something will not work */
};

struct finding {
    const char *check; /* what was looked at: a constant */
    enum finding_status status;
    char *text;   /* what was found; owned */
    char *advice; /* the one setting that would better it; owned, NULL: none */
};

struct findings {
    struct finding *items;
    size_t len;
};

/* Frees what FINDINGS holds. */
void findings_release(struct findings *findings);

/* Adds one; TEXT and ADVICE (may be NULL) are taken over. */
void findings_add(struct findings *findings, const char *check, enum finding_status status,
                  char *text, char *advice);

/* The isolation that RUN gets, the store, subordinate ids. Call it before any thread exists. */
void doctor_machine(struct findings *findings);

/* Where credentials for registries are, proxies, what the environment changes. */
void doctor_access(struct findings *findings);

#endif
