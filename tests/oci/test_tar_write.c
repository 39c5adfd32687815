#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/tar_parse.h"
#include "oci/tar_write.h"

static void head(const struct entry *entry, int64_t mtime, struct buf *out)
{
    struct error err = {0};
    buf_clear(out);
    if (tar_header_append(entry, mtime, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void test_tar_write__a_file_is_one_block_of_ustar(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    head(&(struct entry){.path = "usr/bin/tool",
                         .type = ENTRY_FILE,
                         .mode = 0104755,
                         .uid = 1000,
                         .gid = 2097151,
                         .size = 077777777777},
         0x1ffffffff, &out);
    assert_int_equal(out.len, 512);
    char expected[512] = {0};
    memcpy(expected, "usr/bin/tool", 12);
    memcpy(expected + 100,
           "0004755\0"
           "0001750\0"
           "7777777\0"
           "77777777777\0"
           "77777777777\0",
           48);
    expected[156] = '0';
    memcpy(expected + 257,
           "ustar\0"
           "00",
           8);
    memcpy(expected + 329,
           "0000000\0"
           "0000000\0",
           16);
    memset(expected + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) {
        sum += (unsigned char)expected[i];
    }
    snprintf(expected + 148, 7, "%06o", sum);
    assert_memory_equal(out.data, expected, 512);
}

static void test_tar_write__whiteouts_folders_and_the_root(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    struct tar_header h;
    head(&(struct entry){.path = "a/b", .type = ENTRY_WHITEOUT, .mode = 0777, .uid = 3}, 99, &out);
    assert_null(tar_header_parse((uint8_t *)out.data, &h));
    assert_string_equal(h.name, "a/.wh.b");
    assert_int_equal(h.type, '0');
    assert_int_equal(h.mode | h.uid | h.gid | h.mtime | h.size, 0);
    head(&(struct entry){.path = "top", .type = ENTRY_WHITEOUT}, 0, &out);
    assert_string_equal(out.data, ".wh.top");
    head(&(struct entry){.path = "a/b", .type = ENTRY_DIR}, 0, &out);
    assert_string_equal(out.data, "a/b/");
    head(&(struct entry){.path = "", .type = ENTRY_DIR}, 0, &out);
    assert_string_equal(out.data, "./");
}

/* Names of every length around the limits of name and prefix come back as they were. */
static void test_tar_write__names_of_every_length(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (size_t len = 1; len < 400; len++) {
        for (size_t step = 20; step < 200; step += 33) {
            char path[401];
            for (size_t i = 0; i < len; i++) {
                path[i] = i % step == step - 1 && i + 1 < len ? '/' : 'n';
            }
            path[len] = '\0';
            for (int type = ENTRY_FILE; type <= ENTRY_DIR; type++) {
                head(&(struct entry){.path = path, .type = (uint8_t)type}, 0, &out);
                char expected[402];
                snprintf(expected, sizeof expected, "%s%s", path, type == ENTRY_DIR ? "/" : "");
                struct tar_header h;
                assert_null(tar_header_parse((uint8_t *)out.data + out.len - 512, &h));
                if (out.len == 512) {
                    assert_string_equal(h.name, expected);
                    continue;
                }
                assert_int_equal(out.data[156], 'x');
                const char *at = out.data + 512;
                struct pax_record record;
                assert_true(pax_record_next(&at, at + 500, &record));
                assert_int_equal(record.key_len, 4);
                assert_int_equal(record.value_len, strlen(expected));
                assert_memory_equal(record.value, expected, record.value_len);
            }
        }
    }
}

static void test_tar_write__pax_only_where_ustar_is_too_small(void **state)
{
    (void)state;
    static const struct xattr xattrs[] = {{"security.capability", "\1\0\n", 3}, {"user.b", "", 0}};
    struct entry entry = {.path = "f",
                          .type = ENTRY_FILE,
                          .uid = 2097152,
                          .gid = UINT32_MAX,
                          .size = 0100000000000,
                          .xattrs = xattrs,
                          .xattrs_len = 2};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    head(&entry, -7, &out);
    static const char expected[] = "19 size=8589934592\n"
                                   "15 uid=2097152\n"
                                   "18 gid=4294967295\n"
                                   "12 mtime=-7\n"
                                   "40 SCHILY.xattr.security.capability=\1\0\n\n"
                                   "24 SCHILY.xattr.user.b=\n";
    assert_int_equal(out.len, 3 * 512);
    assert_memory_equal(out.data + 512, expected, sizeof expected - 1);
    assert_int_equal(out.data[512 + sizeof expected - 1], 0);
    struct tar_header h;
    assert_null(tar_header_parse((uint8_t *)out.data, &h));
    assert_int_equal(h.size, sizeof expected - 1);
    assert_int_equal(h.mtime, 0);
}

static void test_tar_write__record_lengths_count_their_own_digits(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    static char value[2000];
    for (size_t size = 0; size < sizeof value; size++) {
        struct xattr xattr = {"u", value, size};
        head(&(struct entry){.path = "f", .type = ENTRY_FILE, .xattrs = &xattr, .xattrs_len = 1}, 0,
             &out);
        struct tar_header h;
        assert_null(tar_header_parse((uint8_t *)out.data, &h));
        const char *at = out.data + 512;
        const char *end = at + h.size;
        struct pax_record record;
        assert_true(pax_record_next(&at, end, &record));
        assert_ptr_equal(at, end);
        assert_int_equal(record.value_len, size);
    }
}

static void test_tar_write__late_time_gives_the_same_header(void **state)
{
    (void)state;
    struct entry entry = {.path = "f", .type = ENTRY_FILE, .size = 3};
    AUTO(buf_release) struct buf early = BUF_INIT(0);
    AUTO(buf_release) struct buf late = BUF_INIT(0);
    head(&entry, 1000000007, &early);
    head(&entry, 5, &late);
    tar_header_set_mtime(late.data, 1000000007);
    assert_memory_equal(early.data, late.data, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar_write__a_file_is_one_block_of_ustar),
        cmocka_unit_test(test_tar_write__whiteouts_folders_and_the_root),
        cmocka_unit_test(test_tar_write__names_of_every_length),
        cmocka_unit_test(test_tar_write__pax_only_where_ustar_is_too_small),
        cmocka_unit_test(test_tar_write__record_lengths_count_their_own_digits),
        cmocka_unit_test(test_tar_write__late_time_gives_the_same_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
