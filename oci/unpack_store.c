/*
 * Unpacked layers in the store:
 *
 *     unpacked/STYLE/HEX/root     the files
 *     unpacked/STYLE/HEX/stamp    the time that stands for replaced ones, and the machine's boot
 *
 * Nothing is synced to disk, as everything can be made again. What was written before the machine
 * started last may have been cut short by a power failure: it does not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "oci/unpack_internal.h"

enum { STAMP_BYTES = 128 };

static const char *style_name(enum unpack_style style)
{
    return style == UNPACK_OVERLAY ? "overlay" : style == UNPACK_OVERLAY_USER ? "user" : "plain";
}

char *unpack_folder(const struct digest *diff_id, enum unpack_style style)
{
    char hex[DIGEST_HEX_SIZE];
    return mem_printf("unpacked/%s/%s", style_name(style), digest_hex(diff_id, hex));
}

/* The boot's name; where there is none, "-" is the same always. */
static char boot_name[STAMP_BYTES / 2];
static pthread_once_t boot_once = PTHREAD_ONCE_INIT;

static void read_boot(void)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool found = false;
    if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", STAMP_BYTES / 2, &text, &found,
                  &ignored) != 0 ||
        !found) {
        buf_clear(&text);
    }
    snprintf(boot_name, sizeof boot_name, "%.40s", text.len ? buf_text(&text) : "-");
    boot_name[strcspn(boot_name, "\n")] = '\0';
}

static const char *boot(void)
{
    pthread_once(&boot_once, read_boot);
    return boot_name;
}

static int write_stamp(struct store *store, const char *folder, int64_t stamp, struct error *err)
{
    char text[STAMP_BYTES];
    AUTO(mem_freep) char *path = mem_printf("%s/stamp", folder);
    snprintf(text, sizeof text, "%" PRId64 " %s\n", stamp, boot());
    AUTO(fd_closep) int fd = -1;
    if (file_open(store_fd(store), path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) != 0) {
        return -1;
    }
    return file_write_fd(fd, path, text, strlen(text), err);
}

/* *FOUND_OUT: there is a stamp of this boot. */
static int read_stamp(struct store *store, const char *folder, int64_t *out, bool *found_out,
                      struct error *err)
{
    AUTO(mem_freep) char *path = mem_printf("%s/stamp", folder);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    char written[STAMP_BYTES / 2];
    int64_t stamp = 0;
    bool found = false;
    if (file_read(store_fd(store), path, STAMP_BYTES, &text, &found, err) != 0) {
        return -1;
    }
    *found_out = found && sscanf(buf_text(&text), "%" SCNd64 " %63s", &stamp, written) == 2 &&
                 strcmp(boot(), written) == 0;
    *out = stamp;
    return 0;
}

int unpack_stamp(struct store *store, const char *path, int64_t *out, struct error *err)
{
    AUTO(mem_freep) char *folder = path_parent(path);
    bool found = false;
    if (read_stamp(store, folder, out, &found, err) != 0) {
        return -1;
    }
    return found ? 0 : error_set(err, ERR_STORE, "'%s' is not an unpacked layer", path);
}

bool unpack_is_there(struct store *store, const struct layer *layer, enum unpack_style style)
{
    AUTO(mem_freep) char *folder = unpack_folder(&layer->diff_id, style);
    struct error ignored = {0};
    int64_t stamp = 0;
    bool found = false;
    return read_stamp(store, folder, &stamp, &found, &ignored) == 0 && found;
}

int unpack_find(struct store *store, const char *folder, bool *found_out, struct error *err)
{
    int64_t ignored = 0;
    struct stat st;
    store_touch(store, folder);
    if (read_stamp(store, folder, &ignored, found_out, err) != 0) {
        return -1;
    }
    if (*found_out || fstatat(store_fd(store), folder, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    /* Moved away first, so that nobody meets it half removed. */
    AUTO(mem_freep) char *old = NULL;
    if (store_temp_name(store, &old, err) != 0) {
        return -1;
    }
    if (renameat(store_fd(store), folder, store_fd(store), old) != 0) {
        return error_errno(err, ERR_STORE, "move '%s' away", folder);
    }
    return file_remove_tree(store_fd(store), old, err);
}

int unpack_publish(struct store *store, const char *temp, const char *folder, int64_t stamp,
                   bool *moved_out, struct error *err)
{
    AUTO(mem_freep) char *parent = path_parent(folder);
    if (write_stamp(store, temp, stamp, err) != 0 ||
        file_make_dirs(store_fd(store), parent, 0700, err) != 0) {
        return -1;
    }
    *moved_out = renameat(store_fd(store), temp, store_fd(store), folder) == 0;
    if (!*moved_out && errno != EEXIST && errno != ENOTEMPTY) {
        return error_errno(err, ERR_STORE, "rename to '%s'", folder);
    }
    return 0;
}

int unpack_adopt(struct store *store, const struct digest *diff_id, enum unpack_style style,
                 const char *content, int64_t stamp, bool *moved_out, struct error *err)
{
    AUTO(mem_freep) char *folder = unpack_folder(diff_id, style);
    AUTO(mem_freep) char *temp = NULL;
    bool found = false;
    if (unpack_find(store, folder, &found, err) != 0) {
        return -1;
    }
    if (found) {
        *moved_out = false;
        return 0;
    }
    if (store_temp_dir(store, &temp, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *root = mem_printf("%s/root", temp);
    if (renameat(store_fd(store), content, store_fd(store), root) != 0) {
        return error_errno(err, ERR_STORE, "rename '%s'", content);
    }
    if (unpack_publish(store, temp, folder, stamp, moved_out, err) != 0) {
        return -1;
    }
    if (!*moved_out) {
        /* Somebody was faster: everything goes back to where it was. */
        if (renameat(store_fd(store), root, store_fd(store), content) != 0) {
            return error_errno(err, ERR_STORE, "rename '%s'", root);
        }
        return file_remove_tree(store_fd(store), temp, err);
    }
    return 0;
}
