#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/tar_read.h"
#include "oci/tar_write.h"

/* A header made by hand. */
struct spec {
    const char *name;
    char type;
    const char *link;
    const char *body; /* content of files, records of pax headers */
    size_t size;      /* said size if not that of body */
    const char *prefix;
    const char *magic; /* default ustar */
};

static void put_octal(char *field, size_t size, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, text, size);
}

static void seal(char block[512])
{
    memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) {
        sum += (unsigned char)block[i];
    }
    put_octal(block + 148, 7, sum);
}

static void put(struct buf *tar, const struct spec *spec)
{
    char block[512] = {0};
    size_t body = spec->body ? strlen(spec->body) : 0;
    memcpy(block, spec->name, strnlen(spec->name, 100));
    put_octal(block + 100, 8, 0644);
    put_octal(block + 108, 8, 5);
    put_octal(block + 116, 8, 6);
    put_octal(block + 124, 12, spec->size ? spec->size : body);
    put_octal(block + 136, 12, 1234567890);
    block[156] = spec->type;
    if (spec->link) {
        memcpy(block + 157, spec->link, strnlen(spec->link, 100));
    }
    memcpy(block + 257, spec->magic ? spec->magic : "ustar\00000", 8);
    if (spec->prefix) {
        memcpy(block + 345, spec->prefix, strlen(spec->prefix));
    }
    seal(block);
    buf_append(tar, block, 512);
    buf_append(tar, spec->body ? spec->body : "", body);
    char zeros[512] = {0};
    buf_append(tar, zeros, tar_padding(body));
}

static void put_end(struct buf *tar)
{
    char zeros[1024] = {0};
    buf_append(tar, zeros, sizeof zeros);
}

/* "12 path=xyz\n" */
static char *record(const char *key, const char *value)
{
    size_t len = strlen(key) + strlen(value) + 3;
    size_t total = len + 1;
    char digits[24];
    while ((size_t)snprintf(digits, sizeof digits, "%zu", total) + len != total) {
        total++;
    }
    return mem_printf("%zu %s=%s\n", total, key, value);
}

static struct tar_reader *open_tar(const struct buf *tar, enum tar_flavour flavour)
{
    struct error err = {0};
    struct tar_reader *t = NULL;
    assert_int_equal(tar_reader_open(reader_memory(mem_dup(tar->data, tar->len), tar->len, true),
                                     flavour, &t, &err),
                     0);
    return t;
}

/* Reads all entries; returns what the last call returned. */
static int read_all(const struct buf *tar, enum tar_flavour flavour, struct error *err)
{
    AUTO(tar_reader_freep) struct tar_reader *t = open_tar(tar, flavour);
    struct entry entry;
    bool more = true;
    while (more) {
        if (tar_reader_next(t, &entry, &more, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static void assert_refused(const struct spec *specs, size_t count, enum tar_flavour flavour,
                           const char *words)
{
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    for (size_t i = 0; i < count; i++) {
        put(&tar, &specs[i]);
    }
    put_end(&tar);
    struct error err = {0};
    if (read_all(&tar, flavour, &err) == 0) {
        fail_msg("'%s' was accepted, not refused for '%s'", specs[0].name, words);
    }
    assert_int_equal(err.code, flavour == TAR_LAYER ? ERR_REMOTE : ERR_STEP);
    if (!strstr(err.text, words)) {
        fail_msg("'%s' lacks '%s'", err.text, words);
    }
}

static void test_tar_read__hostile_entries_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct spec spec;
        const char *words;
    } cases[] = {
        {{.name = "a/../b", .type = '0'}, "'..'"},
        {{.name = "..", .type = '5'}, "'..'"},
        {{.name = "/../etc", .type = '0'}, "'..'"},
        {{.name = "a", .type = '1', .link = "../../etc/shadow"}, "'..'"},
        {{.name = "a", .type = '1', .link = ""}, "hard link"},
        {{.name = "a", .type = '1', .link = "./a"}, "hard link"},
        {{.name = "a", .type = '2', .link = ""}, "symbolic link"},
        {{.name = "./", .type = '0'}, "the root"},
        {{.name = "", .type = '2', .link = "x"}, "the root"},
        {{.name = "a", .type = 'Z'}, "type is unknown"},
        {{.name = "a", .type = 'S'}, "sparse"},
        {{.name = "d/.wh.", .type = '0'}, "deletion of nothing"},
        {{.name = ".wh..", .type = '0'}, "deletion of nothing"},
        {{.name = ".wh...", .type = '0'}, "deletion of nothing"},
        {{.name = ".wh.a/b", .type = '0'}, "below a deletion"},
        {{.name = "a", .type = '0', .size = 3000}, "it ends within"},
        {{.name = "a", .type = '0', .size = (size_t)1 << 32}, "it ends within"},
        {{.name = "a", .type = 'x', .size = (size_t)1 << 32}, "not accepted"},
        {{.name = "a", .type = 'L', .size = (size_t)1 << 32}, "not accepted"},
        {{.name = "a", .type = 'x', .body = "12 path=a\n"}, "pax header is corrupt"},
        {{.name = "a", .type = 'x', .body = "9 path=ab"}, "pax header is corrupt"},
        {{.name = "a", .type = 'x', .body = "99999999999999999999999 a=b\n"}, "corrupt"},
        {{.name = "a", .type = 'x', .body = "5 =b\n"}, "corrupt"},
        {{.name = "a", .type = 'x', .body = "11 size=-1\n"}, "size is impossible"},
        {{.name = "a", .type = 'x', .body = "29 size=99999999999999999999\n"}, "number"},
        {{.name = "a", .type = 'x', .body = "9 uid=-1\n"}, "owner is impossible"},
        {{.name = "a", .type = 'x', .body = "11 uid=0x5\n"}, "number"},
        {{.name = "a", .type = 'x', .body = "22 GNU.sparse.major=1\n"}, "sparse"},
        {{.name = "a", .type = 'x', .body = "20 SCHILY.xattr.a=1\n20 SCHILY.xattr.a=2\n"}, "twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spec specs[2] = {cases[i].spec, {.name = "b", .type = '0'}};
        assert_refused(specs, 2, TAR_LAYER, cases[i].words);
    }
}

static void test_tar_read__long_names_are_refused(void **state)
{
    (void)state;
    static char path[5001];
    for (size_t i = 0; i < 5000; i++) {
        path[i] = i % 100 == 99 ? '/' : 'n';
    }
    AUTO(mem_freep) char *body = record("path", path);
    struct spec specs[2] = {{.name = "p", .type = 'x', .body = body}, {.name = "b", .type = '0'}};
    assert_refused(specs, 2, TAR_LAYER, "too long");
    struct spec gnu[2] = {{.name = "p", .type = 'L', .body = path}, {.name = "b", .type = '0'}};
    assert_refused(gnu, 2, TAR_ARCHIVE, "too long");
    memset(path, 'n', 300);
    path[300] = '\0';
    AUTO(mem_freep) char *component = record("path", path);
    specs[0].body = component;
    assert_refused(specs, 2, TAR_LAYER, "255");
    AUTO(mem_freep) char *link = record("linkpath", path);
    specs[0].body = link;
    specs[1].type = '1';
    assert_refused(specs, 2, TAR_LAYER, "255");
}

static void test_tar_read__nul_in_a_name_is_refused(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    put(&tar, &(struct spec){.name = "p", .type = 'x', .body = "12 path=a#b\n"});
    *strchr(tar.data + 512, '#') = '\0';
    put(&tar, &(struct spec){.name = "b", .type = '0'});
    struct error err = {0};
    assert_int_equal(read_all(&tar, TAR_LAYER, &err), -1);
    assert_non_null(strstr(err.text, "NUL"));
    AUTO(buf_release) struct buf gnu = BUF_INIT(0);
    put(&gnu, &(struct spec){.name = "p", .type = 'L', .body = "a#b"});
    gnu.data[513] = '\0';
    put(&gnu, &(struct spec){.name = "b", .type = '0'});
    assert_int_equal(read_all(&gnu, TAR_LAYER, &err), -1);
    assert_non_null(strstr(err.text, "NUL"));
}

static void next(struct tar_reader *t, struct entry *entry)
{
    struct error err = {0};
    bool more = false;
    if (tar_reader_next(t, entry, &more, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_true(more);
}

static void test_tar_read__names_in_every_form(void **state)
{
    (void)state;
    AUTO(mem_freep) char *pax = record("path", "cafe\xcc\x81/\xff\xfe");
    const struct spec specs[] = {
        {.name = "./a//b/./c", .type = '0'},
        {.name = "/absolute", .type = '0'},
        {.name = "name", .prefix = "some/prefix", .type = '0'},
        {.name = "gnu", .prefix = "1234567", .type = '0', .magic = "ustar  "},
        {.name = "old/", .type = '\0', .magic = "\0\0\0\0\0\0\0\0"},
        {.name = "x", .type = 'x', .body = pax},
        {.name = "other", .type = '0'},
        {.name = "././@LongLink", .type = 'L', .body = "long/name"},
        {.name = "././@LongLink", .type = 'K', .body = "long/target"},
        {.name = "short", .type = '1', .link = "t", .magic = "ustar  "},
        {.name = "pax_global_header", .type = 'g', .body = "11 path=no\n"},
        {.name = "after", .type = '7'},
    };
    static const char *const names[] = {"a/b/c",     "absolute", "some/prefix/name",
                                        "gnu",       "old",      "cafe\xcc\x81/\xff\xfe",
                                        "long/name", "after"};
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        put(&tar, &specs[i]);
    }
    put_end(&tar);
    AUTO(tar_reader_freep) struct tar_reader *t = open_tar(&tar, TAR_LAYER);
    struct entry entry;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        next(t, &entry);
        assert_string_equal(entry.path, names[i]);
        assert_int_equal(entry.type, !strcmp(names[i], "old")         ? ENTRY_DIR
                                     : !strcmp(names[i], "long/name") ? ENTRY_HARDLINK
                                                                      : ENTRY_FILE);
        assert_int_equal(entry.uid, 5);
        assert_int_equal(entry.mtime, 1234567890);
        if (entry.type == ENTRY_HARDLINK) {
            assert_string_equal(entry.link, "long/target");
        }
    }
}

static void test_tar_read__whiteouts_of_layers(void **state)
{
    (void)state;
    const struct spec specs[] = {
        {.name = "d/.wh.gone", .type = '0', .body = "content is ignored"},
        {.name = "d/.wh..wh..opq", .type = '0'},
        {.name = ".wh..wh..opq", .type = '0'},
        {.name = ".wh..wh.plnk/12.34", .type = '1', .link = "d"},
        {.name = ".wh..wh.aufs", .type = '0'},
        {.name = "last", .type = '0'},
    };
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        put(&tar, &specs[i]);
    }
    AUTO(tar_reader_freep) struct tar_reader *t = open_tar(&tar, TAR_LAYER);
    struct entry entry;
    next(t, &entry);
    assert_int_equal(entry.type, ENTRY_WHITEOUT);
    assert_string_equal(entry.path, "d/gone");
    next(t, &entry);
    assert_int_equal(entry.type, ENTRY_DIR);
    assert_int_equal(entry.flags, ENTRY_OPAQUE);
    assert_int_equal(entry.mode, UINT32_MAX);
    assert_string_equal(entry.path, "d");
    next(t, &entry);
    assert_string_equal(entry.path, "");
    assert_int_equal(entry.flags, ENTRY_OPAQUE);
    next(t, &entry);
    assert_string_equal(entry.path, "last");

    AUTO(tar_reader_freep) struct tar_reader *archive = open_tar(&tar, TAR_ARCHIVE);
    next(archive, &entry);
    assert_string_equal(entry.path, "d/.wh.gone");
    assert_int_equal(entry.type, ENTRY_FILE);
}

static void test_tar_read__archives_are_cut_to_their_root(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    put(&tar, &(struct spec){.name = "/abs/./a/../b", .type = '0'});
    AUTO(tar_reader_freep) struct tar_reader *t = open_tar(&tar, TAR_ARCHIVE);
    struct entry entry;
    next(t, &entry);
    assert_string_equal(entry.path, "abs/b");
    struct spec escape = {.name = "a/../../b", .type = '0'};
    assert_refused(&escape, 1, TAR_ARCHIVE, "'..'");
}

static void test_tar_read__numbers_beyond_octal(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    put(&tar, &(struct spec){.name = "a", .type = '0'});
    /* GNU's base 256: uid 0x01020304, mtime -2. */
    memcpy(tar.data + 108, "\x80\0\0\0\1\2\3\4", 8);
    memset(tar.data + 136, 0xff, 11);
    tar.data[147] = (char)0xfe;
    seal(tar.data);
    put(&tar, &(struct spec){.name = "x",
                             .type = 'x',
                             .body = "16 mtime=-10.25\n"
                                     "15 gid=4000000\n"});
    put(&tar, &(struct spec){.name = "b", .type = '0'});
    AUTO(tar_reader_freep) struct tar_reader *t = open_tar(&tar, TAR_LAYER);
    struct entry entry;
    next(t, &entry);
    assert_int_equal(entry.uid, 0x01020304);
    assert_int_equal(entry.mtime, -2);
    next(t, &entry);
    assert_int_equal(entry.mtime, -11);
    assert_int_equal(entry.gid, 4000000);
}

static void test_tar_read__content_lies_where_the_handle_says(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    AUTO(mem_freep) char *big = mem_alloc(700001);
    memset(big, 'z', 700000);
    big[700000] = '\0';
    put(&tar, &(struct spec){.name = "a", .type = '0', .body = "hello"});
    put(&tar, &(struct spec){.name = "x", .type = 'x', .body = "11 path=bc\n"});
    put(&tar, &(struct spec){.name = "b", .type = '0', .body = big});
    put(&tar, &(struct spec){.name = "c", .type = '0', .body = "last"});
    put_end(&tar);
    for (int read = 0; read < 2; read++) {
        AUTO(tar_reader_freep) struct tar_reader *t = open_tar(&tar, TAR_LAYER);
        static const char *const bodies[] = {"hello", NULL, "last"};
        struct error err = {0};
        for (int i = 0; i < 3; i++) {
            struct entry entry;
            next(t, &entry);
            const char *body = bodies[i] ? bodies[i] : big;
            assert_int_equal(entry.size, strlen(body));
            assert_memory_equal(tar.data + entry.handle, body, entry.size);
            size_t total = 0;
            size_t got = (size_t)read;
            AUTO(mem_freep) char *data = mem_alloc(800000);
            while (got > 0) {
                assert_int_equal(tar_reader_data(t, data + total, 300000, &got, &err), 0);
                total += got;
            }
            if (read) {
                assert_int_equal(total, entry.size);
                assert_memory_equal(data, body, total);
            }
        }
        struct entry entry;
        bool more = true;
        assert_int_equal(tar_reader_next(t, &entry, &more, &err), 0);
        assert_false(more);
    }
}

static void test_tar_read__what_is_no_tar_is_refused(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf tar = BUF_INIT(0);
    put(&tar, &(struct spec){.name = "a", .type = '0', .body = "hello"});
    struct error err = {0};
    for (size_t at = 0; at < 148; at += 7) {
        tar.data[at] ^= 1;
        assert_int_equal(read_all(&tar, TAR_LAYER, &err), -1);
        assert_non_null(strstr(err.text, "checksum"));
        tar.data[at] ^= 1;
    }
    for (size_t len = 1; len < 512; len += 50) {
        tar.len = len;
        assert_int_equal(read_all(&tar, TAR_LAYER, &err), -1);
    }
    tar.len = 0;
    assert_int_equal(read_all(&tar, TAR_LAYER, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar_read__hostile_entries_are_refused),
        cmocka_unit_test(test_tar_read__long_names_are_refused),
        cmocka_unit_test(test_tar_read__nul_in_a_name_is_refused),
        cmocka_unit_test(test_tar_read__names_in_every_form),
        cmocka_unit_test(test_tar_read__whiteouts_of_layers),
        cmocka_unit_test(test_tar_read__archives_are_cut_to_their_root),
        cmocka_unit_test(test_tar_read__numbers_beyond_octal),
        cmocka_unit_test(test_tar_read__content_lies_where_the_handle_says),
        cmocka_unit_test(test_tar_read__what_is_no_tar_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
