/*
 * Every maximum on what comes from outside stands here. Reaching one is an error with a sentence,
 * never a crash.
 */
#ifndef SLIPWAY_BASE_LIMITS_H
#define SLIPWAY_BASE_LIMITS_H

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define LIMIT_MANIFEST_BYTES (4 * MIB) /* registries refuse larger ones too */
#define LIMIT_CONFIG_BYTES (8 * MIB)   /* an image's config */
#define LIMIT_JSON_BYTES                                                                           \
    (16 * MIB) /* any other JSON document (docker config, token, API answer)                       \
                */
#define LIMIT_DOCKERFILE_BYTES (4 * MIB) /* heredocs can make them long */
#define LIMIT_HEREDOC_BYTES (4 * MIB)    /* one here-document */
#define LIMIT_LINE_BYTES ((size_t)65535) /* one line of a Dockerfile as it stands (BuildKit) */
#define LIMIT_WORD_BYTES (1 * MIB)       /* one word after variable expansion */
#define LIMIT_DOCKERIGNORE_BYTES (1 * MIB)
#define LIMIT_TEXT_FILE_BYTES (16 * MIB) /* /etc/passwd, git attributes, netrc and the like */
#define LIMIT_PATH_BYTES ((size_t)4095)  /* one path inside a tree; PATH_MAX less the terminator */
#define LIMIT_LINK_BYTES ((size_t)4095)  /* a link's target */
#define LIMIT_XATTR_BYTES (64 * KIB)     /* one extended attribute's value, as the kernel has it */
#define LIMIT_XATTRS_PER_ENTRY 256
#define LIMIT_ENTRIES ((size_t)20000000) /* entries of one tree */
#define LIMIT_LAYERS ((size_t)512)       /* layers of one image; overlayfs takes 500 */
#define LIMIT_INDEX_MANIFESTS ((size_t)1024)
#define LIMIT_SYMLINKS 40 /* links followed while resolving one path, as the kernel does */
#define LIMIT_HTTP_HEADER_BYTES (256 * KIB)
#define LIMIT_BLOB_BYTES ((uint64_t)1 << 40) /* one blob */
#define LIMIT_SUBMODULE_DEPTH 10
#define LIMIT_JOBS 1024                 /* threads that share one build's work */
#define LIMIT_OPEN_FILES 65536          /* as many as we ask the kernel for */
#define LIMIT_EXPOSED ((size_t)1 << 20) /* ports that one stage names, with repetitions */

#endif
