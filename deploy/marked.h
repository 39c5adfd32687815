/*
 * YAML and JSON documents that know where everything stands: each value has its line and column, so
 * that a message can name both sides of a contradiction.
 *
 *     AUTO(marked_freep) struct marked_file *file = NULL;
 *     marked_parse(text, len, "taskdef.json", MARKED_JSON, &file, err);
 *     const struct marked *family = marked_get(marked_root(file), "family");
 *
 * All nodes belong to the file. What an alias names is the node itself, so a YAML document may be a
 * graph with cycles: walk along paths, do not descend without a limit.
 */
#ifndef SLIPWAY_DEPLOY_MARKED_H
#define SLIPWAY_DEPLOY_MARKED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* CodePipeline's limit for the artifact that holds such a file is 3 MB; no such file is near it. */
#define LIMIT_MARKED_BYTES ((size_t)1024 * 1024)

enum marked_format { MARKED_YAML, MARKED_JSON };
enum marked_kind { MARKED_SCALAR, MARKED_LIST, MARKED_MAP };

struct marked;

struct marked_member {
    const struct marked *key;
    const struct marked *value;
};

struct marked {
    enum marked_kind kind;
    unsigned line;    /* from 1 */
    unsigned column;  /* from 1, in characters */
    const char *text; /* SCALAR: unquoted and terminated; no bytes of value zero */
    bool quoted;      /* SCALAR: stands in quotes, so it is a text whatever it looks like */
    size_t start;     /* SCALAR: first byte in the file, quotes included, and the one behind */
    size_t end;
    const struct marked **items;   /* LIST */
    struct marked_member *members; /* MAP */
    size_t len;                    /* of items or members */
};

struct marked_file;

/* Reads LEN bytes, at most LIMIT_MARKED_BYTES of UTF-8. JSON must be JSON (no comments, no trailing
 * commas, no byte order mark, no member twice). An empty YAML document is an empty map. NAME is
 * kept for messages. ERR_USAGE with file, line and column. */
int marked_parse(const char *text, size_t len, const char *name, enum marked_format format,
                 struct marked_file **out, struct error *err);

/* Cleanup for AUTO(). */
void marked_freep(struct marked_file **file);

/* The NAME it was given, and the value that everything lies in. Borrowed. */
const char *marked_name(const struct marked_file *file);

/* The value that everything lies in. Borrowed. */
const struct marked *marked_root(const struct marked_file *file);

/* All nodes of the document, keys too, in no order that matters: for what looks at every text. */
size_t marked_len(const struct marked_file *file);

/* The node at INDEX, below marked_len(). Borrowed. */
const struct marked *marked_at(const struct marked_file *file, size_t index);

/* The value of KEY where NODE is a map that has it, else NULL; the last one counts. NODE may be
 * NULL. */
const struct marked *marked_get(const struct marked *node, const char *key);

/* The member KEY of a map: its key has a place of its own. NULL as above. */
const struct marked_member *marked_member(const struct marked *node, const char *key);

/* The text of a scalar, else NULL. NODE may be NULL. */
const char *marked_text(const struct marked *node);

/* The text of the scalar KEY of a map, else NULL. */
const char *marked_get_text(const struct marked *node, const char *key);

/* Whether NODE is a scalar that is a whole number from 0 to MAX; a number in quotes is one too. */
bool marked_number(const struct marked *node, unsigned long max, unsigned long *out);

/* Sets ERR_USAGE with the place of NODE (NULL: the file alone). Returns -1. */
int marked_error(const struct marked_file *file, const struct marked *node, struct error *err,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
