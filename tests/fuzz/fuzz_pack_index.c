/* Indices and packs of strangers: the first two bytes are the index's length. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "git/blob_stream.h"
#include "git/library.h"

enum { SIZE = 100 };

static char folder[64];

static void remove_folder(void)
{
    struct error err = {0};
    file_remove_tree(AT_FDCWD, folder, &err);
}

static void make_folder(void)
{
    char path[96];
    struct error err = {0};
    snprintf(folder, sizeof folder, "/tmp/fuzz-pack-XXXXXX");
    if (!mkdtemp(folder) || git_library_init(&err) != 0) {
        abort();
    }
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/pack", folder);
    if (mkdir(path, 0700) != 0) {
        abort();
    }
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    char path[96];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/pack/%s", folder, name);
    AUTO(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || file_write_fd(fd, path, data, size, &err) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    git_oid id;
    if (!folder[0]) {
        make_folder();
    }
    if (size < 2) {
        return 0;
    }
    size_t index = (size_t)data[0] << 8 | data[1];
    index = index < size - 2 ? index : size - 2;
    write_file("p.idx", data + 2, index);
    write_file("p.pack", data + 2 + index, size - 2 - index);
    memset(id.id, 0x11, sizeof id.id);
    AUTO(reader_freep) struct reader *reader = blob_stream_open(folder, &id, SIZE, NULL);
    struct error err = {0};
    char chunk[7];
    size_t got = 1;
    size_t all = 0;
    while (reader && got > 0) {
        if (reader_read(reader, chunk, sizeof chunk, &got, &err) != 0) {
            return err.code == ERR_STORE ? 0 : (abort(), 0);
        }
        all += got;
    }
    if (reader && all != SIZE) {
        abort();
    }
    return 0;
}
