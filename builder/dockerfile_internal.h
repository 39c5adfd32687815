/*
 * What the files of the Dockerfile parser share. Nobody else includes this.
 *
 *   dockerfile.c              the file as a whole, from its first line to its last
 *   dockerfile_lines.c        physical lines, directives, continuations
 *   dockerfile_heredoc.c      here-documents
 *   dockerfile_flags.c        --name=value
 *   dockerfile_forms.c        one line: keyword, flags, and what form its words have
 *   dockerfile_check.c        what each instruction allows
 *   dockerfile_locate.c       where in the file a word stands, for messages
 */
#ifndef SLIPWAY_BUILDER_DOCKERFILE_INTERNAL_H
#define SLIPWAY_BUILDER_DOCKERFILE_INTERNAL_H

#include "base/buf.h"
#include "builder/dockerfile.h"

/* A Dockerfile being read. */
struct source {
    const char *file; /* for messages */
    const char *text;
    size_t len;
    size_t pos;
    unsigned line;        /* number of the line read last */
    bool directives_done; /* nothing more can be a directive */
    struct dockerfile *df;
};

/* A line of the file. */
struct physical {
    const char *text;
    size_t len;      /* without the line's end */
    size_t full_len; /* with it */
};

/* Where a part of a joined line stands in the file. */
struct segment {
    size_t offset; /* in the joined line */
    unsigned line;
    unsigned column; /* of the part's first byte */
};

/* A line with its continuations joined. */
struct logical {
    struct buf text;
    struct segment *segments;
    size_t segments_len;
    unsigned line; /* first */
    unsigned end_line;
    bool empty_continuation;
};

/* dockerfile_lines.c */

/* The next line; false at the end. */
bool source_next(struct source *src, struct physical *out);

/* The next line that is neither blank nor a comment, with its continuations. Directives on the way
 * are taken in. *MORE_OUT false: there is none. */
int logical_read(struct source *src, struct logical *out, bool *more_out, struct error *err);
void logical_release(struct logical *line);

/* Names [START, START + WIDTH) of the joined line as the place of ERR. Returns -1. */
int logical_locate(const struct logical *line, const char *file, size_t start, size_t width,
                   struct error *err);

/* Line and column of OFFSET. */
void logical_place(const struct logical *line, size_t offset, unsigned *line_out,
                   unsigned *column_out);

/* A range of a joined line being parsed. */
struct reader {
    const struct source *src;
    const struct logical *line;
    const char *text; /* line->text */
    size_t start;     /* of the range */
    size_t end;
};

/* Fails with the place [START, START + WIDTH). Returns -1. */
int reader_fail(const struct reader *r, size_t start, size_t width, struct error *err,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* dockerfile_flags.c */

/* Reads the flags at the beginning of [START, END) into IN; *REST_OUT is where the rest begins. */
void flags_read(const struct reader *r, size_t start, struct instruction *in, size_t *rest_out);

/* Checks IN's flags against what its instruction allows. */
int flags_check(const struct reader *r, struct instruction *in, struct error *err);

/* dockerfile_forms.c */

/* Reads keyword, flags and form of the range. A keyword that is none gives *KNOWN_OUT false and
 * only keyword, rest and flags. *REST_OUT: where `rest` begins. */
int instruction_read(const struct reader *r, struct instruction *in, bool *known_out,
                     size_t *rest_out, struct error *err);
void instruction_release(struct instruction *in);

/* The type of a keyword, whatever its case. */
bool instruction_find(const char *keyword, enum instruction_type *type_out);

/* Fails for a KEYWORD that is no instruction, with the nearest one. */
int unknown_keyword(const struct reader *r, const struct instruction *in, struct error *err);

/* dockerfile_heredoc.c */

/* Reads the here-documents that IN's line announces from the lines that follow. */
int heredocs_read(struct source *src, struct logical *line, struct instruction *in,
                  struct error *err);

/* A source of COPY or ADD that is written as a here-document and is none, since it stands in JSON
 * or quotes that do not close hide it, is an empty one (BuildKit). */
int heredocs_complete(const struct reader *r, struct instruction *in, struct error *err);

/* If WORD is "<<NAME" and the like, fills NAME, EXPAND, CHOMP, FD of OUT and returns true. */
bool heredoc_announced(const char *word, struct heredoc *out);

/* dockerfile_check.c */

/* Checks what IN's instruction demands. REST: where `rest` begins. */
int instruction_check(const struct reader *r, size_t rest, struct instruction *in,
                      struct error *err);

#endif
