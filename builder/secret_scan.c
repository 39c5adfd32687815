/* Looks for secrets in what a RUN wrote. */
#include "builder/secret_scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"

enum { WINDOW = 256 * 1024 };

struct needle {
    const char *data;
    size_t len;
};

static struct needle trimmed(const struct buf *secret)
{
    struct needle n = {buf_text(secret), secret->len};
    while (n.len > 0 && isspace((unsigned char)n.data[n.len - 1])) {
        n.len--;
    }
    while (n.len > 0 && isspace((unsigned char)n.data[0])) {
        n.data++;
        n.len--;
    }
    return n;
}

/* Reads through a window whose end overlaps the next, so that no place is cut in two. */
static int in_content(const struct entry *entry, const struct needle *n, bool *found_out,
                      struct error *err)
{
    AUTO(reader_freep) struct reader *in = NULL;
    size_t cap = WINDOW + n->len;
    AUTO(mem_freep) char *window = mem_alloc(cap);
    size_t kept = 0;
    size_t got = 0;
    *found_out = false;
    if (entry_open(entry, &in, err) != 0) {
        return -1;
    }
    do {
        if (reader_read_full(in, window + kept, cap - kept, &got, err) != 0) {
            return -1;
        }
        size_t have = kept + got;
        if (memmem(window, have, n->data, n->len)) {
            *found_out = true;
            return 0;
        }
        kept = have < n->len ? have : n->len - 1;
        memmove(window, window + have - kept, kept);
    } while (got > 0);
    return 0;
}

static bool in_metadata(const struct entry *entry, const struct needle *n)
{
    bool found = memmem(entry->path, strlen(entry->path), n->data, n->len) != NULL;
    if (entry->link) {
        found = found || memmem(entry->link, strlen(entry->link), n->data, n->len);
    }
    for (uint32_t i = 0; i < entry->xattrs_len; i++) {
        found = found || memmem(entry->xattrs[i].value, entry->xattrs[i].size, n->data, n->len);
    }
    return found;
}

int secret_scan(struct tree *diff, const char *id, const struct buf *secret, struct error *err)
{
    struct needle n = trimmed(secret);
    if (n.len < SECRET_SCAN_MIN) {
        return 0;
    }
    for (size_t i = 0; i < tree_len(diff); i++) {
        const struct entry *entry = tree_at(diff, i);
        bool found = in_metadata(entry, &n);
        if (!found && entry->type == ENTRY_FILE && entry->size >= n.len &&
            in_content(entry, &n, &found, err) != 0) {
            return -1;
        }
        if (found) {
            return error_set(err, ERR_STEP,
                             "the secret '%s' would be in the layer, in /%.200s: whoever has the "
                             "image could read it",
                             id, in_metadata(entry, &n) ? "(a name or attribute)" : entry->path);
        }
    }
    return 0;
}
