/*
 * The images that init writes into slipway.json, while it finds out what they are called. Whatever
 * a stranger's file says, what stands in a draft is something that ship takes: a container has a
 * name that ECS knows and gets one image, a placeholder stands for one image, a repository can be
 * pushed to, and no two images go to the same.
 */
#ifndef SLIPWAY_DEPLOY_INIT_DRAFT_H
#define SLIPWAY_DEPLOY_INIT_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/strlist.h"
#include "deploy/imagedefinitions.h"
#include "deploy/init.h"

/* Where something is said. */
struct init_place {
    const char *file; /* borrowed */
    unsigned line;
};

/* An image, and the containers that get it. */
struct draft {
    const char *dockerfile; /* borrowed */
    char *folder;           /* its context; "" for the root */
    char *name;             /* what its Dockerfile or folder is called; "" where nothing tells */
    char *title; /* "name" of slipway.json; NULL: what it is without one tells it apart */
    struct strlist containers;
    char *placeholder; /* NULL: the usual one, IMAGE<N>_NAME */
    char *repository;  /* [REGISTRY/]NAME; NULL: not known yet */
};

struct drafts {
    struct draft *items;
    size_t len;
    char *registry; /* NULL: nothing tells */
    struct imagedefinitions given;
};

/* Frees what DRAFTS holds. */
void drafts_release(struct drafts *drafts);

/* One for each of DOCKERFILES (paths in tree form, which must outlive the drafts). One whose path
 * is no UTF-8 is left open in RESULT. ERR_USAGE where none is left, or there are more than
 * slipway.json takes. */
int drafts_make(const struct strlist *dockerfiles, struct drafts *out, struct init_result *result,
                struct error *err);

/* CONTAINER, named at PLACE, gets the image; RESULT says so. False: it cannot be one, or gets an
 * image already, which is left open in RESULT. */
bool draft_give(struct drafts *drafts, struct draft *draft, const char *container,
                struct init_place place, struct init_result *result);

/* PLACEHOLDER, met at PLACE, stands for the image; where it cannot, that is left open. */
void draft_fill(struct drafts *drafts, struct draft *draft, const char *placeholder,
                struct init_place place, struct init_result *result);

/* Takes registry and repository of IMAGE where it names both and no other image goes there; its tag
 * is the environment's. */
void draft_push_to(struct drafts *drafts, struct draft *draft, const char *image);

/* TEXT made fit for a repository's name; the caller's. */
char *draft_repository_name(const char *text);

/* The repository is BASE, or below it where there are several images. False: that is no
 * repository's name. */
bool draft_name_repository(const struct drafts *drafts, struct draft *draft, const char *base);

/* Gives names and placeholders to images that slipway.json's defaults would not tell apart. To be
 * called once all repositories are known. */
void drafts_tell_apart(struct drafts *drafts);

#endif
