/* ADD's own sources: archives of the context, URLs, git repositories. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/http.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/step_copy_internal.h"
#include "git/source.h"
#include "oci/tar_read.h"

enum { MAGIC_BYTES = 512 };

/* Whether HEAD is a tar's first header: its sum is right. Old ones have no magic. */
static bool is_tar_header(const unsigned char head[MAGIC_BYTES])
{
    enum { SUM_AT = 148, SUM_BYTES = 8 };
    unsigned long sum = 0;
    for (size_t i = 0; i < MAGIC_BYTES; i++) {
        bool blank = i >= SUM_AT && i < SUM_AT + SUM_BYTES;
        sum += blank ? ' ' : head[i];
    }
    char digits[SUM_BYTES + 1] = "";
    memcpy(digits, head + SUM_AT, SUM_BYTES);
    return digits[0] && strtoul(digits, NULL, 8) == sum;
}

/* Whether the first bytes may be an archive's: gzip, bzip2, xz, zstd, or a tar header. */
static bool may_be_archive(const unsigned char *head, size_t len)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t at;
    } magics[] = {{"\x1f\x8b", 2, 0},
                  {"BZh", 3, 0},
                  {"\xfd"
                   "7zXZ",
                   5, 0},
                  {"\x28\xb5\x2f\xfd", 4, 0}};
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        if (len >= magics[i].at + magics[i].len &&
            memcmp(head + magics[i].at, magics[i].bytes, magics[i].len) == 0) {
            return true;
        }
    }
    return len == MAGIC_BYTES && is_tar_header(head);
}

/* The archive that ENTRY holds as a tree; *OUT stays NULL where it is none. */
static int archive_of(struct copy_step *c, const struct entry *entry, struct tree **out,
                      struct error *err)
{
    unsigned char head[MAGIC_BYTES];
    size_t got = 0;
    AUTO(reader_freep) struct reader *in = NULL;
    if (entry_open(entry, &in, err) != 0 ||
        reader_read_full(in, head, sizeof head, &got, err) != 0) {
        return -1;
    }
    if (!may_be_archive(head, got)) {
        return 0;
    }
    struct store *store = c->stage->build->store;
    AUTO(fd_closep) int fd = -1;
    if (store_temp_file(store, &fd, err) != 0 ||
        file_write_fd(fd, entry->path, head, got, err) != 0) {
        return -1;
    }
    AUTO(writer_freep) struct writer *spool = writer_fd(dup(fd), entry->path);
    if (stream_copy(in, spool, NULL, err) != 0) {
        return -1;
    }
    lseek(fd, 0, SEEK_SET);
    AUTO(tree_unrefp) struct tree *tree = NULL;
    bool is_archive = false;
    if (tar_file_tree(store, fd, entry->path, &tree, &is_archive, err) != 0) {
        return -1;
    }
    *out = is_archive ? MEM_STEAL(tree) : NULL;
    return 0;
}

/* Takes over the archive TREE as an item; the key needs the digests of what it holds. */
static int add_archive(struct copy_step *c, struct tree *tree, struct error *err)
{
    struct copy_item item = {.tree = tree, .archive = true};
    /* The whole tree is the source. */
    struct copy_plan everything = {.dest = "/"};
    int r = copy_select(tree, "/", false, &everything, &item.sources, err);
    if (r != 0) {
        tree_unref(tree);
        return -1;
    }
    copy_add_item(c, &item);
    return 0;
}

static void add_one_source(struct copy_step *c, struct copy_item *from, size_t index)
{
    struct copy_item item = {.tree = tree_ref(from->tree)};
    item.sources.items = mem_alloc(sizeof *item.sources.items);
    item.sources.items[0] = from->sources.items[index];
    item.sources.len = 1;
    from->sources.items[index] = (struct copy_source){0};
    copy_add_item(c, &item);
}

int add_local(struct copy_step *c, struct copy_item *item, struct error *err)
{
    const char *unpack = instruction_flag(c->in, "unpack");
    bool wanted = !unpack || strcmp(unpack, "false") != 0;
    int r = 0;
    for (size_t i = 0; i < item->sources.len && r == 0; i++) {
        const struct entry *entry = tree_find(item->tree, item->sources.items[i].path);
        const struct entry *inode = entry ? entry_inode(entry) : NULL;
        struct tree *archive = NULL;
        if (wanted && inode && inode->type == ENTRY_FILE && inode->size > 0) {
            r = archive_of(c, inode, &archive, err);
        }
        if (r == 0 && archive) {
            r = add_archive(c, archive, err);
        } else if (r == 0) {
            add_one_source(c, item, i);
        }
    }
    copy_sources_release(&item->sources);
    tree_unref(item->tree);
    return r;
}

/* A download into a file that is hashed on the way. */
struct download {
    struct http_sink sink; /* first */
    int fd;
    struct hasher *hasher;
    uint64_t size;
};

static int download_write(struct http_sink *sink, const void *data, size_t len, struct error *err)
{
    struct download *d = (struct download *)sink;
    hasher_add(d->hasher, data, len);
    d->size += len;
    return file_write_fd(d->fd, "the download", data, len, err);
}

static int download_restart(struct http_sink *sink, struct error *err)
{
    struct download *d = (struct download *)sink;
    struct digest unused;
    hasher_finish(d->hasher, &unused);
    d->size = 0;
    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0) {
        return error_errno(err, ERR_STORE, "start the download again");
    }
    return 0;
}

/* The file's name where the destination is a folder: the last component of URL's path, query and
 * fragment left out, escapes read. One that has none gets BuildKit's. The caller's. */
static char *name_in_url(const char *url)
{
    static const char *const none = "__unnamed__";
    const char *path = strstr(url, "://");
    path = path ? strpbrk(path + 3, "/?#") : NULL;
    AUTO(mem_freep) char *copy = mem_strdup(path && *path == '/' ? path : "");
    copy[strcspn(copy, "?#")] = '\0';
    char *out = copy;
    for (const char *p = copy; *p; p++) {
        unsigned byte = (unsigned char)*p;
        if (*p == '%' && (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]) ||
                          sscanf(p + 1, "%2x", &byte) != 1 || byte == 0)) {
            return mem_strdup(none);
        }
        p += *p == '%' ? 2 : 0;
        *out++ = (char)byte;
    }
    *out = '\0';
    AUTO(mem_freep) char *clean = path_clean(copy);
    return mem_strdup(clean[0] ? path_name(clean) : none);
}

/* A Last-Modified is information; without one the time tells only when it was fetched. */
static void set_time(struct entry *entry, const struct http_response *response)
{
    const char *modified = http_header(response, "Last-Modified");
    struct tm tm = {0};
    if (modified && strptime(modified, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
        entry->mtime = (int64_t)timegm(&tm);
    } else {
        entry->flags |= ENTRY_TIME_VOLATILE;
    }
}

static int check_digest(struct copy_step *c, const char *url, const struct digest *got,
                        struct error *err)
{
    const char *flag = instruction_flag(c->in, "checksum");
    AUTO(mem_freep) char *text = NULL;
    struct digest wanted;
    char have[DIGEST_TEXT_SIZE];
    if (!flag) {
        return 0;
    }
    if (stage_expand(c->stage, c->in, flag, &text, err) != 0 ||
        (text[0] && digest_parse(text, ERR_USAGE, &wanted, err) != 0)) {
        return error_wrap(err, "--checksum");
    }
    if (!text[0]) {
        return 0;
    }
    if (!digest_equal(&wanted, got)) {
        AUTO(mem_freep) char *shown = http_redact_url(url);
        return error_set(err, ERR_STEP, "%s has %s, not the --checksum %s", shown,
                         digest_format(got, have), text);
    }
    return 0;
}

static int fetch(struct copy_step *c, const char *url, struct download *d,
                 struct http_response *response, struct error *err)
{
    struct build *build = c->stage->build;
    if (build->request->offline) {
        return error_set(err, ERR_REMOTE, "ADD %s needs the network, and this build is --offline",
                         url);
    }
    struct http_request request = {
        .url = url, .sink = &d->sink, .code = ERR_STEP, .refuses = sandbox_is_key_address};
    d->sink = (struct http_sink){.write = download_write, .restart = download_restart};
    if (store_temp_file(build->store, &d->fd, err) != 0 ||
        http_perform(registry_http(build->registry), &request, response, err) != 0) {
        return -1;
    }
    if (http_check(&request, response, err) != 0) {
        err->code = ERR_STEP;
        return -1;
    }
    return 0;
}

static int add_download(struct copy_step *c, const char *url, struct download *d,
                        const struct http_response *response, struct error *err)
{
    AUTO(mem_freep) char *name = name_in_url(url);
    struct entry entry = {.type = ENTRY_FILE, .mode = 0600, .size = d->size};
    hasher_finish(d->hasher, &entry.digest);
    entry.flags = ENTRY_HAS_DIGEST;
    set_time(&entry, response);
    if (check_digest(c, url, &entry.digest, err) != 0) {
        return -1;
    }
    AUTO(content_unrefp) struct content_source *source = content_file(fd_steal(&d->fd));
    entry.path = name;
    entry.source = d->size > 0 ? source : NULL;
    struct tree_builder *b = tree_builder_new();
    tree_builder_add(b, &entry);
    AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(b);
    if (instruction_switch(c->in, "unpack")) {
        struct tree *archive = NULL;
        if (archive_of(c, tree_at(tree, 0), &archive, err) != 0) {
            return -1;
        }
        if (archive) {
            return add_archive(c, archive, err);
        }
    }
    struct copy_item item = {.tree = tree_ref(tree)};
    if (copy_select(tree, name, false, &c->plan, &item.sources, err) != 0) {
        tree_unref(item.tree);
        return -1;
    }
    copy_add_item(c, &item);
    return 0;
}

static int add_url(struct copy_step *c, const char *url, struct error *err)
{
    struct download d = {.fd = -1, .hasher = hasher_new()};
    struct http_response response = {0};
    int r = fetch(c, url, &d, &response, err);
    if (r == 0) {
        r = add_download(c, url, &d, &response, err);
    }
    http_response_release(&response);
    hasher_freep(&d.hasher);
    fd_closep(&d.fd);
    return r;
}

static int add_git(struct copy_step *c, const char *url, struct error *err)
{
    struct build *build = c->stage->build;
    const char *flag = instruction_flag(c->in, "checksum");
    AUTO(mem_freep) char *checksum = NULL;
    if (flag && stage_expand(c->stage, c->in, flag, &checksum, err) != 0) {
        return error_wrap(err, "--checksum");
    }
    struct git_request wanted = {.store = build->store,
                                 .url = url,
                                 .checksum = checksum && checksum[0] ? checksum : NULL,
                                 .events = build->events,
                                 .offline = build->request->offline,
                                 .keep_git_dir = instruction_switch(c->in, "keep-git-dir")};
    struct git_source source = {0};
    if (git_source_open(&wanted, &source, err) != 0) {
        return -1;
    }
    struct copy_item item = {.tree = tree_ref(source.tree)};
    git_source_release(&source);
    if (copy_select(item.tree, "/", false, &c->plan, &item.sources, err) != 0) {
        tree_unref(item.tree);
        return -1;
    }
    copy_add_item(c, &item);
    return 0;
}

/* http(s) URLs that do not end in .git are files, as BuildKit has it. */
static bool is_file_url(const char *word)
{
    bool http = strncmp(word, "http://", 7) == 0 || strncmp(word, "https://", 8) == 0;
    return http && !git_is_url(word);
}

/* --checksum is for one URL or repository. */
static int check_checksum(struct copy_step *c, const char *word, bool remote, struct error *err)
{
    const char *flag = instruction_flag(c->in, "checksum");
    AUTO(mem_freep) char *text = NULL;
    if (!flag || stage_expand(c->stage, c->in, flag, &text, err) != 0) {
        return flag ? -1 : 0;
    }
    if (text[0] && !remote) {
        return error_set(err, ERR_USAGE, "ADD --checksum is for URLs, not for %s", word);
    }
    if (text[0] && c->in->args.len > 2) {
        return error_set(err, ERR_USAGE, "ADD --checksum is for one source, not for several");
    }
    return 0;
}

int add_remote(struct copy_step *c, const char *word, bool *taken_out, struct error *err)
{
    *taken_out = is_file_url(word) || git_is_url(word);
    int r = check_checksum(c, word, *taken_out, err);
    if (r == 0 && *taken_out) {
        r = is_file_url(word) ? add_url(c, word, err) : add_git(c, word, err);
    }
    *taken_out = *taken_out && r == 0;
    return r;
}
