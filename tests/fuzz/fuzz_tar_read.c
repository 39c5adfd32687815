/* Any bytes as a tar, as a layer and as an archive: entries that come out keep the promises of
 * tar_read.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "oci/tar_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct entry *entry, enum tar_flavour flavour)
{
    if (!path_is_clean(entry->path) || strlen(entry->path) > LIMIT_PATH_BYTES) {
        abort();
    }
    if (entry->type == ENTRY_HARDLINK && (!path_is_clean(entry->link) || !entry->link[0])) {
        abort();
    }
    bool is_mark = entry->type == ENTRY_WHITEOUT || entry->mode == UINT32_MAX;
    if (flavour == TAR_ARCHIVE ? is_mark : entry->source != NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum tar_flavour flavour = size % 2 ? TAR_LAYER : TAR_ARCHIVE;
    struct error err = {0};
    AUTO(tar_reader_freep) struct tar_reader *tar = NULL;
    tar_reader_open(reader_memory((void *)data, size, false), flavour, &tar, &err);
    bool more = true;
    while (more) {
        struct entry entry;
        if (tar_reader_next(tar, &entry, &more, &err) != 0) {
            if (err.code == ERR_NONE || !err.text[0]) {
                abort();
            }
            return 0;
        }
        if (!more) {
            break;
        }
        check(&entry, flavour);
        char content[3000];
        size_t got = 0;
        if (tar_reader_data(tar, content, sizeof content, &got, &err) != 0) {
            return 0;
        }
        if (got > 0 && memcmp(content, data + entry.handle, got) != 0) {
            abort();
        }
    }
    return 0;
}
