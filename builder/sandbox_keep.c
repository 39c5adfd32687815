/* The upper folder of a finished RUN becomes the unpacked form of its layer. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/sandbox_internal.h"

/* Times that the layer's writer replaces become one: then a later RUN sees the same whether this
 * layer was just made or comes from a cache. */
static int stamp_times(int upper, const struct tree *diff, int64_t stamp, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = stamp}};
    for (size_t i = 0; i < tree_len(diff); i++) {
        const struct entry *entry = tree_at(diff, i);
        if (!(entry->flags & ENTRY_TIME_VOLATILE)) {
            continue;
        }
        const char *path = entry->path[0] ? entry->path : ".";
        if (utimensat(upper, path, times, AT_SYMLINK_NOFOLLOW) != 0) {
            return error_errno(err, ERR_STORE, "set the time of '%s'", path);
        }
    }
    return 0;
}

int sandbox_keep_upper(struct store *store, struct sandbox_result *result,
                       const struct digest *diff_id, struct error *err)
{
    enum sandbox_rung rung = RUNG_NONE;
    AUTO(fd_closep) int upper = -1;
    int64_t stamp = (int64_t)time(NULL);
    bool moved = false;
    if (!result->upper || !result->diff) {
        return 0;
    }
    if (sandbox_probe(&rung, NULL, err) != 0 ||
        file_open(store_fd(store), result->upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &upper,
                  err) != 0 ||
        stamp_times(upper, result->diff, stamp, err) != 0 ||
        unpack_adopt(store, diff_id, sandbox_style(rung), result->upper, stamp, &moved, err) != 0) {
        return error_wrap(err, "%s", "keep what RUN wrote");
    }
    if (!moved) {
        return 0;
    }
    AUTO(mem_freep) char *work = path_parent(result->upper);
    free(MEM_STEAL(result->upper));
    store_remove_later(store, work);
    return 0;
}
