/* One entry's header: ustar, and pax records where ustar is too small. */
#include "oci/tar_write.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"

/* POSIX.1-1988 ustar: where each field lies. */
struct ustar {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a ustar header is one block");

#define MAX_OCTAL_7 ((uint64_t)07777777)
#define MAX_OCTAL_11 ((uint64_t)077777777777)

/* What an entry becomes in the archive. */
struct item {
    const struct entry *entry; /* for messages */
    char *name;                /* owned */
    const char *link;
    char type;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    int64_t mtime;
    const struct xattr *xattrs;
    size_t xattrs_len;
};

static void octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i > 0; i--) {
        field[i - 1] = (char)('0' + (value & 7));
        value >>= 3;
    }
    field[size - 1] = '\0';
}

static void put_checksum(struct ustar *h)
{
    memset(h->checksum, ' ', sizeof h->checksum);
    const unsigned char *bytes = (const unsigned char *)h;
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof *h; i++) {
        sum += bytes[i];
    }
    octal(h->checksum, 7, sum);
}

/* Copies at most SIZE bytes without a terminator: these fields need none when full. */
static void put_text(char *field, size_t size, const char *text)
{
    size_t len = strlen(text);
    memcpy(field, text, len < size ? len : size);
}

/* Splits NAME at a "/" into prefix and name. Returns whether both fit. */
static bool put_name(struct ustar *h, const char *name)
{
    size_t len = strlen(name);
    if (len <= sizeof h->name) {
        memcpy(h->name, name, len);
        return true;
    }
    size_t last = len - 2 < sizeof h->prefix ? len - 2 : sizeof h->prefix;
    for (size_t i = last; i > 0 && len - i - 1 <= sizeof h->name; i--) {
        if (name[i] == '/') {
            memcpy(h->prefix, name, i);
            memcpy(h->name, name + i + 1, len - i - 1);
            return true;
        }
    }
    return false;
}

/* "LEN KEY=VALUE\n", where LEN counts its own digits. */
static void put_record(struct buf *out, const char *key, const void *value, size_t size)
{
    size_t rest = strlen(key) + size + 3; /* " ", "=", "\n" */
    size_t digits = 1;
    for (size_t limit = 10; rest + digits >= limit; limit *= 10) {
        digits++;
    }
    buf_printf(out, "%zu %s=", rest + digits, key);
    buf_append(out, value, size);
    buf_putc(out, '\n');
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    put_record(out, key, text, (size_t)len);
}

static void put_zeros(struct buf *out, size_t len)
{
    memset(buf_reserve(out, len), 0, len);
    out->len += len;
}

static void put_xattrs(struct buf *records, const struct item *item)
{
    for (size_t i = 0; i < item->xattrs_len; i++) {
        AUTO(mem_freep) char *key = mem_printf("SCHILY.xattr.%s", item->xattrs[i].name);
        put_record(records, key, item->xattrs[i].value, item->xattrs[i].size);
    }
}

/* The pax header that carries RECORDS for the entry that follows. Its own name is only seen by
 * programs that do not know pax. */
static void put_pax(struct buf *out, const struct item *item, const struct buf *records)
{
    struct ustar h = {.type = 'x', .magic = "ustar", .version = {'0', '0'}};
    char name[sizeof h.name + 1];
    snprintf(name, sizeof name, "PaxHeaders.0/%s", path_name(item->entry->path));
    put_text(h.name, sizeof h.name, name);
    octal(h.mode, sizeof h.mode, 0);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, records->len);
    octal(h.mtime, sizeof h.mtime, 0);
    octal(h.major, sizeof h.major, 0);
    octal(h.minor, sizeof h.minor, 0);
    put_checksum(&h);
    buf_append(out, &h, sizeof h);
    buf_append(out, records->data, records->len);
    put_zeros(out, tar_padding(records->len));
}

/* VALUE if it fits into a field of MAX, else a record KEY and 0 in the field. */
static uint64_t fit(struct buf *records, const char *key, uint64_t value, uint64_t max)
{
    if (value <= max) {
        return value;
    }
    put_number(records, key, (int64_t)value);
    return 0;
}

static void put_item(struct buf *out, const struct item *item)
{
    struct ustar h = {.type = item->type, .magic = "ustar", .version = {'0', '0'}};
    AUTO(buf_release) struct buf records = BUF_INIT(0);
    if (!put_name(&h, item->name)) {
        put_text(h.name, sizeof h.name, item->name);
        put_record(&records, "path", item->name, strlen(item->name));
    }
    if (item->link) {
        put_text(h.link, sizeof h.link, item->link);
        if (strlen(item->link) > sizeof h.link) {
            put_record(&records, "linkpath", item->link, strlen(item->link));
        }
    }
    octal(h.mode, sizeof h.mode, item->mode & 07777);
    octal(h.size, sizeof h.size, fit(&records, "size", item->size, MAX_OCTAL_11));
    octal(h.uid, sizeof h.uid, fit(&records, "uid", item->uid, MAX_OCTAL_7));
    octal(h.gid, sizeof h.gid, fit(&records, "gid", item->gid, MAX_OCTAL_7));
    octal(h.mtime, sizeof h.mtime, fit(&records, "mtime", (uint64_t)item->mtime, MAX_OCTAL_11));
    bool device = item->type == '3' || item->type == '4';
    octal(h.major, sizeof h.major, device ? item->entry->rdev_major : 0);
    octal(h.minor, sizeof h.minor, device ? item->entry->rdev_minor : 0);
    put_xattrs(&records, item);
    put_checksum(&h);
    if (records.len > 0) {
        put_pax(out, item, &records);
    }
    buf_append(out, &h, sizeof h);
}

/* "a/b" becomes "a/.wh.b". */
static char *whiteout_name(const char *path)
{
    const char *last = path_name(path);
    return mem_printf("%.*s.wh.%s", (int)(last - path), path, last);
}

static int check(const struct entry *entry, struct error *err)
{
    const struct entry *inode = entry_inode(entry);
    if (!strncmp(entry->path, ".wh.", 4) || strstr(entry->path, "/.wh.")) {
        return error_set(err, ERR_STEP,
                         "%s: a layer cannot hold names that begin with .wh. (they mean deletions)",
                         entry->path);
    }
    if (entry->flags & ENTRY_OPAQUE) {
        return error_set(err, ERR_STEP, "%s: an opaque folder cannot be written, only deletions",
                         entry->path);
    }
    if (!inode || (entry->type == ENTRY_HARDLINK && inode->type != ENTRY_FILE)) {
        return error_set(err, ERR_STEP, "%s: hard link to '%s', which is not in the layer",
                         entry->path, entry->link ? entry->link : "");
    }
    if (entry->type == ENTRY_SYMLINK && !entry->link) {
        return error_set(err, ERR_STEP, "%s: symbolic link without a target", entry->path);
    }
    if (entry_is_device(entry) &&
        (entry->rdev_major > MAX_OCTAL_7 || entry->rdev_minor > MAX_OCTAL_7)) {
        return error_set(err, ERR_STEP, "%s: device number %u:%u is too large for tar", entry->path,
                         entry->rdev_major, entry->rdev_minor);
    }
    for (uint32_t i = 0; i < inode->xattrs_len; i++) {
        if (strchr(inode->xattrs[i].name, '=')) {
            return error_set(err, ERR_STEP, "%s: tar cannot hold the extended attribute '%s'",
                             entry->path, inode->xattrs[i].name);
        }
    }
    return 0;
}

static char *name_of(const struct entry *entry)
{
    if (entry->type == ENTRY_WHITEOUT) {
        return whiteout_name(entry->path);
    }
    if (entry->type == ENTRY_DIR) {
        return entry->path[0] ? mem_printf("%s/", entry->path) : mem_strdup("./");
    }
    return mem_strdup(entry->path);
}

int tar_header_append(const struct entry *entry, int64_t mtime, struct buf *out, struct error *err)
{
    static const char types[] = {
        [ENTRY_FILE] = '0', [ENTRY_DIR] = '5',   [ENTRY_SYMLINK] = '2', [ENTRY_HARDLINK] = '1',
        [ENTRY_CHAR] = '3', [ENTRY_BLOCK] = '4', [ENTRY_FIFO] = '6',    [ENTRY_WHITEOUT] = '0',
    };
    assert(entry->type < sizeof types);
    if (check(entry, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *name = name_of(entry);
    struct item item = {.entry = entry, .name = name, .type = types[entry->type]};
    if (entry->type != ENTRY_WHITEOUT) {
        const struct entry *inode = entry_inode(entry);
        bool is_link = entry->type == ENTRY_SYMLINK;
        item.link = is_link ? entry->link : entry->type == ENTRY_HARDLINK ? inode->path : NULL;
        item.mode = is_link ? 0777 : inode->mode;
        item.uid = inode->uid;
        item.gid = inode->gid;
        item.size = entry->type == ENTRY_FILE ? entry->size : 0;
        item.mtime = mtime;
        item.xattrs = inode->xattrs;
        item.xattrs_len = inode->xattrs_len;
    }
    put_item(out, &item);
    return 0;
}

void tar_header_set_mtime(char header[TAR_BLOCK], int64_t mtime)
{
    assert(mtime >= 0 && (uint64_t)mtime <= MAX_OCTAL_11);
    struct ustar *h = (struct ustar *)header;
    octal(h->mtime, sizeof h->mtime, (uint64_t)mtime);
    put_checksum(h);
}

size_t tar_padding(uint64_t size)
{
    return (size_t)(-size & (TAR_BLOCK - 1));
}
