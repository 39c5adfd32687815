#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/options.h"
#include "oci/docker_archive.h"
#include "oci/layout.h"

struct load_options {
    const char *input;
    const char *tag;
    bool quiet;
};

static const struct option_spec specs[] = {
    {.name = "input",
     .letter = 'i',
     .argument = "FILE",
     .help = "a tar, compressed or not, or a layout's folder (standard input)",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct load_options, input)},
    {.name = "tag",
     .letter = 't',
     .argument = "NAME[:TAG]",
     .help = "the image's name, for an archive of one image",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct load_options, tag)},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .offset = offsetof(struct load_options, quiet)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "load",
    .usage = "[OPTIONS]",
    .summary = "Reads the images of a docker archive or an OCI layout into the store.",
    .groups = {&group},
};

static int read_images(struct store *store, const char *input, struct layout_image **images,
                       size_t *len, struct error *err)
{
    struct stat st;
    int fd = -1;
    if (!input || strcmp(input, "-") == 0) {
        if (isatty(STDIN_FILENO)) {
            return error_set(err, ERR_USAGE, "standard input is a terminal: -i FILE is missing");
        }
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            return error_errno(err, ERR_USAGE, "standard input");
        }
        return docker_archive_read(store, reader_fd(fd, "standard input"), "standard input", images,
                                   len, err);
    }
    if (stat(input, &st) != 0) {
        return error_errno(err, ERR_USAGE, "'%s'", input);
    }
    if (S_ISDIR(st.st_mode)) {
        return layout_read(store, input, images, len, err);
    }
    if (file_open(AT_FDCWD, input, O_RDONLY, 0, &fd, err) != 0) {
        return -1;
    }
    return docker_archive_read(store, reader_fd(fd, input), input, images, len, err);
}

/* The name under which the store shall keep an image called TEXT in its archive; NULL: none that
 * could be one. The caller's. */
static char *store_name(const char *text)
{
    struct reference ref = {0};
    struct error ignored = {0};
    /* Only a tag ("1.0"): what it is a tag of is not known. */
    if (!strpbrk(text, ":/@") || reference_parse(text, &ref, &ignored) != 0) {
        return NULL;
    }
    char *key = reference_key(&ref);
    reference_release(&ref);
    return key;
}

static int keep_image(struct store *store, const struct layout_image *image, const char *tag,
                      struct error *err)
{
    char digest[DIGEST_TEXT_SIZE];
    const char *text = tag ? tag : image->name;
    AUTO(mem_freep) char *key = text ? store_name(text) : NULL;
    if (!key) {
        printf("Loaded image ID: %s\n", digest_format(&image->descriptor.digest, digest));
        return images_add(store, &image->descriptor, err);
    }
    if (images_tag(store, key, &image->descriptor, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *shown = names_familiar(key);
    printf("Loaded image: %s\n", shown);
    return 0;
}

/* -t as the store keeps it; NULL where it was not given. */
static int read_tag(const char *text, char **out, struct error *err)
{
    struct reference ref = {0};
    if (!text) {
        return 0;
    }
    if (reference_parse(text, &ref, err) != 0) {
        return -1;
    }
    *out = reference_key(&ref);
    reference_release(&ref);
    return 0;
}

static int load(const struct load_options *o, struct error *err)
{
    AUTO(store_freep) struct store *store = NULL;
    AUTO(mem_freep) char *tag = NULL;
    struct layout_image *images = NULL;
    size_t len = 0;
    if (read_tag(o->tag, &tag, err) != 0 || store_open(NULL, &store, err) != 0 ||
        read_images(store, o->input, &images, &len, err) != 0) {
        return -1;
    }
    int result = 0;
    if (tag && len > 1) {
        result = error_set(err, ERR_USAGE, "load: --tag: the archive has %zu images", len);
    }
    for (size_t i = 0; result == 0 && i < len; i++) {
        result = keep_image(store, &images[i], tag, err);
    }
    layout_images_release(images, len);
    return result;
}

int cmd_load(struct invocation *call, struct error *err)
{
    struct load_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    return done ? 0 : load(&options, err);
}
