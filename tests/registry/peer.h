/*
 * What the tests of this room share: a real registry on loopback, stores of their own, images made
 * by hand.
 */
#ifndef SLIPWAY_TESTS_REGISTRY_PEER_H
#define SLIPWAY_TESTS_REGISTRY_PEER_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/document.h"
#include "oci/store.h"
#include "registry/registry.h"

#define OK(CALL)                                                                                   \
    do {                                                                                           \
        struct error err = {0};                                                                    \
        if ((CALL) != 0) {                                                                         \
            fail_msg("%s: %s", #CALL, err.text);                                                   \
        }                                                                                          \
    } while (0)

/* The words of FAILURE have all of WORDS. */
#define SAYS(FAILURE, WORDS)                                                                       \
    do {                                                                                           \
        if (!strstr((FAILURE).text, (WORDS))) {                                                    \
            fail_msg("'%s' does not say '%s'", (FAILURE).text, (WORDS));                           \
        }                                                                                          \
    } while (0)

struct peer {
    char folder[64];
    char host[64]; /* "127.0.0.1:PORT" */
};

/* Output of a command's first line. */
static inline int run_line(const char *command, char *out, size_t size)
{
    FILE *pipe = popen(command, "re");
    if (!pipe) {
        return -1;
    }
    out[0] = '\0';
    if (fgets(out, (int)size, pipe)) {
        out[strcspn(out, "\n")] = '\0';
    }
    while (fgetc(pipe) != EOF) {
    }
    return pclose(pipe) == 0 ? 0 : -1;
}

/* Starts fixtures/registry with OPTIONS. */
static inline void peer_start(struct peer *peer, const char *options)
{
    snprintf(peer->folder, sizeof peer->folder, "/tmp/slipway-registry-XXXXXX");
    assert_non_null(mkdtemp(peer->folder));
    AUTO(mem_freep)
    char *command = mem_printf("fixtures/registry start %s/peer %s", peer->folder, options);
    char port[32];
    if (run_line(command, port, sizeof port) != 0) {
        fail_msg("no docker-registry");
    }
    snprintf(peer->host, sizeof peer->host, "127.0.0.1:%s", port);
}

static inline void peer_stop(struct peer *peer)
{
    char line[32];
    struct error ignored = {0};
    AUTO(mem_freep) char *command = mem_printf("fixtures/registry stop %s/peer", peer->folder);
    run_line(command, line, sizeof line);
    file_remove_tree(AT_FDCWD, peer->folder, &ignored);
}

/* Lines in the peer's log that have METHOD and PART. */
static inline int peer_count(const struct peer *peer, const char *method, const char *part)
{
    char count[32];
    AUTO(mem_freep)
    char *command =
        mem_printf("grep -F '\"%s ' %s/peer/log | grep -cF '%s'", method, peer->folder, part);
    run_line(command, count, sizeof count);
    return (int)strtol(count, NULL, 10);
}

static inline struct store *store_in(const char *folder, const char *name)
{
    struct store *store = NULL;
    AUTO(mem_freep) char *path = mem_printf("%s/%s", folder, name);
    OK(store_open(path, &store, &err));
    return store;
}

static inline struct registry *registry_of(struct store *store, bool offline)
{
    struct registry *registry = NULL;
    struct registry_options options = {.offline = offline,
                                       .user_agent = "slipway-tests",
                                       .retries = 5,
                                       .retry_delay_ms = 10,
                                       .timeout_ms = 5000};
    OK(registry_open(store, &options, &registry, &err));
    return registry;
}

/* An image of COUNT layers of SIZE bytes each, made of SEED. */
static inline struct image make_image(struct store *store, unsigned count, size_t size,
                                      unsigned seed)
{
    struct image image = {.layers_len = count};
    AUTO(buf_release) struct buf config = BUF_INIT(0);
    AUTO(buf_release) struct buf manifest = BUF_INIT(0);
    char text[DIGEST_TEXT_SIZE];
    image.layers = mem_calloc(count ? count : 1, sizeof *image.layers);
    buf_printf(&config, "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{"
                        "\"type\":\"layers\",\"diff_ids\":[");
    for (unsigned i = 0; i < count; i++) {
        AUTO(mem_freep) char *bytes = mem_alloc(size);
        unsigned state = seed * 1000 + i + 1;
        for (size_t k = 0; k < size; k++) {
            state = state * 1103515245 + 12345;
            bytes[k] = (char)(state >> 16);
        }
        struct descriptor *d = &image.layers[i].blob;
        OK(store_put_blob(store, bytes, size, &d->digest, &err));
        d->size = size;
        snprintf(d->media_type, sizeof d->media_type, "%s", MEDIA_OCI_LAYER);
        image.layers[i].diff_id = d->digest;
        buf_printf(&config, "%s\"%s\"", i ? "," : "", digest_format(&d->digest, text));
    }
    buf_puts(&config, "]}}");
    OK(store_put_blob(store, config.data, config.len, &image.config.digest, &err));
    image.config.size = config.len;
    snprintf(image.config.media_type, sizeof image.config.media_type, "%s", MEDIA_OCI_CONFIG);
    manifest_render(&image.config, image.layers, count, NULL, &manifest);
    OK(store_put_blob(store, manifest.data, manifest.len, &image.manifest.digest, &err));
    image.manifest.size = manifest.len;
    snprintf(image.manifest.media_type, sizeof image.manifest.media_type, "%s", MEDIA_OCI_MANIFEST);
    return image;
}

static inline struct reference ref_of(const char *host, const char *rest)
{
    struct reference ref = {0};
    AUTO(mem_freep) char *text = mem_printf("%s/%s", host, rest);
    OK(reference_parse(text, &ref, &err));
    return ref;
}

static inline int push_to(struct registry *registry, const struct image *image, const char *host,
                          const char *rest, struct error *err)
{
    AUTO(reference_release) struct reference ref = ref_of(host, rest);
    return registry_push_image(registry, image, &image->manifest, &ref, err);
}

#endif
