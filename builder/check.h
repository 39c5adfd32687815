/*
 * A Dockerfile judged without building it: builder/lint.h with everything that a build_request
 * says.
 *
 *     AUTO(check_result_release) struct check_result result = {0};
 *     check_run(&request, &result, err);
 *
 * Nothing is run and no layer is fetched. The configurations of bases are read from the store, else
 * from the registry, where a rule needs to know their variables.
 */
#ifndef SLIPWAY_BUILDER_CHECK_H
#define SLIPWAY_BUILDER_CHECK_H

#include "builder/build.h"
#include "builder/lint.h"

struct check_result {
    struct lint lint;
    char *dockerfile_name; /* as findings and errors name it; NULL: it was not found */
    char *dockerfile_text;
};

/* Checks REQUEST's Dockerfile: all stages, or those that its target needs. Errors are those of a
 * build up to its first step; what was found before is in RESULT even so. */
int check_run(const struct build_request *request, struct check_result *result, struct error *err);

/* Frees what RESULT holds. */
void check_result_release(struct check_result *result);

#endif
