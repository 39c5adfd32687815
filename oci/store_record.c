/*
 * Records: small named values. A record's file is one line, the name, and the value:
 *
 *     slipway-record 1 SHA256HEX NAMELEN VALUELEN\n NAME VALUE
 *
 * The digest covers name and value, so that what a power loss leaves is seen and counts as missing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/store_internal.h"

#define RECORD_MAGIC "slipway-record 1 "

enum { HEADER_MAX = 160, ORIGINS_MAX = 16, ORIGIN_BYTES_MAX = 64 * 1024 };
/* Of a value at a time, as it may be one that lies in a file (base/spill.h). */
enum { PART_BYTES = 256 * 1024 };

static const size_t record_max = 2 * GIB;

struct record {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

static void record_digest(const char *name, size_t name_len, const void *value, size_t len,
                          char hex[DIGEST_HEX_SIZE])
{
    AUTO(hasher_freep) struct hasher *h = hasher_new();
    struct digest digest;
    hasher_add_field(h, name, name_len);
    hasher_add(h, &(uint64_t){len}, sizeof(uint64_t));
    for (size_t at = 0; at < len; at += PART_BYTES) {
        size_t part = len - at < PART_BYTES ? len - at : PART_BYTES;
        hasher_add(h, (const char *)value + at, part);
        spill_looked_bytes(part);
    }
    hasher_finish(h, &digest);
    digest_hex(&digest, hex);
}

/* Finds the parts of a record in LEN bytes. False: it is damaged. */
static bool record_parse(const char *data, size_t len, struct record *out)
{
    size_t line_max = len < HEADER_MAX ? len : HEADER_MAX;
    const char *end = memchr(data, '\n', line_max);
    if (!end) {
        return false;
    }
    char line[HEADER_MAX + 1];
    size_t line_len = (size_t)(end - data);
    memcpy(line, data, line_len);
    line[line_len] = '\0';
    char hex[DIGEST_HEX_SIZE];
    uint64_t name_len = 0;
    uint64_t value_len = 0;
    int used = 0;
    if (sscanf(line, RECORD_MAGIC "%64[0-9a-f] %10" SCNu64 " %10" SCNu64 "%n", hex, &name_len,
               &value_len, &used) != 3 ||
        (size_t)used != line_len) {
        return false;
    }
    size_t left = len - line_len - 1;
    if (name_len > left || value_len != left - name_len) {
        return false;
    }
    *out = (struct record){.name = end + 1,
                           .name_len = (size_t)name_len,
                           .value = end + 1 + name_len,
                           .value_len = (size_t)value_len};
    char actual[DIGEST_HEX_SIZE];
    record_digest(out->name, out->name_len, out->value, out->value_len, actual);
    return strcmp(actual, hex) == 0 && !memchr(out->name, '\0', out->name_len);
}

static int check_kind(const char *kind, struct error *err)
{
    if (!store_kind_is_valid(kind)) {
        return error_set(err, ERR_STORE, "'%s' is no kind of record", kind);
    }
    return 0;
}

static char *record_path(const char *kind, const char *name)
{
    AUTO(mem_freep) char *file = store_file_name(name);
    return mem_printf("records/%s/%s", kind, file);
}

static int make_kind(struct store *store, const char *kind, struct error *err)
{
    AUTO(mem_freep) char *folder = mem_printf("records/%s", kind);
    if (mkdirat(store->fd, folder, STORE_DIR_MODE) != 0 && errno != EEXIST) {
        error_errno(err, ERR_STORE, "make folder '%s'", folder);
        return store_fault(store, err);
    }
    return 0;
}

/* Whether the file FD goes on with the LEN bytes at DATA. */
static bool goes_on_with(int fd, const char *data, size_t len)
{
    char chunk[16 * 1024];
    while (len > 0) {
        ssize_t got = read(fd, chunk, len < sizeof chunk ? len : sizeof chunk);
        if (got <= 0 || memcmp(chunk, data, (size_t)got) != 0) {
            return false;
        }
        data += got;
        len -= (size_t)got;
        spill_looked_bytes((size_t)got);
    }
    return true;
}

/* Whether the record PATH holds just this HEAD and value: then it only becomes used again. A rename
 * costs more than a look, and on some disks waits for them. */
static bool is_written(struct store *store, const char *path, const struct buf *head,
                       const void *data, size_t len)
{
    AUTO(fd_closep) int fd = openat(store->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == head->len + len &&
           goes_on_with(fd, head->data, head->len) && goes_on_with(fd, data, len) &&
           store_touch(store, path);
}

int store_record_put(struct store *store, const char *kind, const char *name, const void *data,
                     size_t len, struct error *err)
{
    size_t name_len = strlen(name);
    if (check_kind(kind, err) != 0) {
        return -1;
    }
    if (len > record_max - name_len - HEADER_MAX) {
        return error_set(err, ERR_STORE, "record %s/%.100s is too large", kind, name);
    }
    char hex[DIGEST_HEX_SIZE];
    record_digest(name, name_len, data, len, hex);
    AUTO(buf_release) struct buf head = BUF_INIT(0);
    buf_printf(&head, RECORD_MAGIC "%s %zu %zu\n", hex, name_len, len);
    buf_append(&head, name, name_len);
    AUTO(mem_freep) char *path = record_path(kind, name);
    if (is_written(store, path, &head, data, len)) {
        return 0;
    }
    if (make_kind(store, kind, err) != 0) {
        return -1;
    }
    const struct iovec parts[] = {{head.data, head.len}, {(void *)data, len}};
    return store_write_file(store, path, parts, ARRAY_LEN(parts), err);
}

/* Reads the file PATH of a record into BYTES and finds its parts. *FOUND_OUT is false if it is
 * missing or damaged. */
static int record_read(struct store *store, const char *path, struct buf *bytes,
                       struct record *record, bool *found_out, struct error *err)
{
    bool there = false;
    if (file_read(store->fd, path, record_max, bytes, &there, err) != 0) {
        return store_fault(store, err);
    }
    *found_out = there && record_parse(buf_text(bytes), bytes->len, record);
    return 0;
}

/* Long names have a hash for their file's name. */
static bool is_named(const struct record *record, const char *name)
{
    return record->name_len == strlen(name) && memcmp(record->name, name, record->name_len) == 0;
}

int store_record_get(struct store *store, const char *kind, const char *name, struct buf *out,
                     bool *found_out, struct error *err)
{
    if (check_kind(kind, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *path = record_path(kind, name);
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    struct record record = {0};
    bool found = false;
    if (!store_touch(store, path)) {
        *found_out = false;
        return 0;
    }
    if (record_read(store, path, &bytes, &record, &found, err) != 0) {
        return -1;
    }
    found = found && is_named(&record, name);
    if (found && out->len == 0 && (out->max == 0 || record.value_len <= out->max)) {
        /* Large ones are not copied into memory that is new to the process. */
        memmove(bytes.data, record.value, record.value_len + 1);
        bytes.len = record.value_len;
        bytes.max = out->max;
        struct buf empty = *out;
        *out = bytes;
        bytes = empty;
    } else if (found && !buf_try_append(out, record.value, record.value_len)) {
        return error_set(err, ERR_STORE, "record %s/%.100s is larger than %zu bytes", kind, name,
                         out->max);
    }
    *found_out = found;
    return 0;
}

int store_record_view(struct store *store, const char *kind, const char *name,
                      struct record_view *out, struct error *err)
{
    *out = (struct record_view){0};
    if (check_kind(kind, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *path = record_path(kind, name);
    struct record record = {0};
    struct stat st;
    AUTO(fd_closep) int fd = openat(store->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !store_touch(store, path)) {
        return 0;
    }
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || (uint64_t)st.st_size > record_max) {
        return 0;
    }
    out->mapping = spill_map(fd, (size_t)st.st_size);
    if (!out->mapping) {
        error_errno(err, ERR_STORE, "read '%s'", path);
        return store_fault(store, err);
    }
    if (record_parse(out->mapping, (size_t)st.st_size, &record) && is_named(&record, name)) {
        out->value = record.value;
        out->len = record.value_len;
    }
    return 0;
}

void record_view_release(struct record_view *view)
{
    spill_unmap(view->mapping);
    *view = (struct record_view){0};
}

int store_record_remove(struct store *store, const char *kind, const char *name, struct error *err)
{
    if (check_kind(kind, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *path = record_path(kind, name);
    if (unlinkat(store->fd, path, 0) != 0 && errno != ENOENT) {
        error_errno(err, ERR_STORE, "remove '%s'", path);
        return store_fault(store, err);
    }
    return 0;
}

char *store_record_name(struct store *store, const char *path)
{
    char head[HEADER_MAX + LIMIT_PATH_BYTES + 1];
    AUTO(fd_closep) int fd = openat(store->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd >= 0 ? pread(fd, head, sizeof head - 1, 0) : -1;
    size_t name_len = 0;
    if (len <= 0) {
        return NULL;
    }
    head[len] = '\0';
    const char *name = strchr(head, '\n');
    if (sscanf(head, RECORD_MAGIC "%*64[0-9a-f] %10zu ", &name_len) != 1 || !name ||
        name_len > (size_t)(head + len - name - 1)) {
        return NULL;
    }
    return mem_strndup(name + 1, name_len);
}

static void dir_closep(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

int store_record_list(struct store *store, const char *kind, struct strlist *out, struct error *err)
{
    if (check_kind(kind, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *folder = mem_printf("records/%s", kind);
    AUTO(fd_closep)
    int fd = openat(store->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    AUTO(dir_closep) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        error_errno(err, ERR_STORE, "list '%s'", folder);
        return store_fault(store, err);
    }
    fd_steal(&fd);
    AUTO(strlist_release) struct strlist names = {0};
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.') {
            continue;
        }
        AUTO(mem_freep) char *path = mem_printf("%s/%s", folder, e->d_name);
        AUTO(buf_release) struct buf bytes = BUF_INIT(0);
        struct record record = {0};
        bool found = false;
        if (record_read(store, path, &bytes, &record, &found, err) != 0) {
            return -1;
        }
        if (found) {
            strlist_take(&names, mem_strndup(record.name, record.name_len));
        }
    }
    strlist_sort(&names);
    strlist_add_all(out, &names);
    return 0;
}

int store_origin_list(struct store *store, const struct digest *digest, struct strlist *out,
                      struct error *err)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    bool found = false;
    if (store_record_get(store, "origins", digest_hex(digest, hex), &value, &found, err) != 0) {
        return -1;
    }
    const char *line = buf_text(&value);
    for (int i = 0; i < ORIGINS_MAX && *line; i++) {
        size_t len = strcspn(line, "\n");
        strlist_take(out, mem_strndup(line, len));
        line += len;
        line += *line == '\n';
    }
    return 0;
}

int store_origin_add(struct store *store, const struct digest *digest, const char *host_repository,
                     struct error *err)
{
    if (!host_repository[0] || strchr(host_repository, '\n') ||
        strlen(host_repository) > ORIGIN_BYTES_MAX / ORIGINS_MAX) {
        return error_set(err, ERR_STORE, "'%.100s' is no place of a blob", host_repository);
    }
    AUTO(store_unlockp) int lock = -1;
    AUTO(strlist_release) struct strlist known = {0};
    if (store_lock(store, "origins", &lock, err) != 0 ||
        store_origin_list(store, digest, &known, err) != 0) {
        return -1;
    }
    if (known.len > 0 && strcmp(known.items[0], host_repository) == 0) {
        return 0;
    }
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    buf_printf(&value, "%s\n", host_repository);
    size_t written = 1;
    for (size_t i = 0; i < known.len && written < ORIGINS_MAX; i++) {
        if (strcmp(known.items[i], host_repository) != 0) {
            buf_printf(&value, "%s\n", known.items[i]);
            written++;
        }
    }
    char hex[DIGEST_HEX_SIZE];
    return store_record_put(store, "origins", digest_hex(digest, hex), value.data, value.len, err);
}
