#include "world.h"

#include <fcntl.h>

#include "base/file.h"
#include "git/blob_stream.h"
#include "oci/digest.h"

/* What git says of HEAD:big, and the file itself. */
struct big {
    git_oid id;
    uint64_t size;
    struct digest digest;
    char objects[128];
};

static void read_text(const struct world *w, const char *name, struct buf *out)
{
    char path[128];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    assert_int_equal(file_read(AT_FDCWD, path, 64 * MIB, out, NULL, &err), 0);
}

static struct big look_at(const struct world *w, const char *revision)
{
    struct big big = {0};
    AUTO(buf_release) struct buf id = BUF_INIT(0);
    AUTO(buf_release) struct buf content = BUF_INIT(0);
    shell(w, "cd $W/repo; git rev-parse %s:big >$W/id; git cat-file blob %s:big >$W/content",
          revision, revision);
    read_text(w, "id", &id);
    read_text(w, "content", &content);
    assert_int_equal(git_oid_fromstrn(&big.id, id.data, GIT_OID_HEXSZ), 0);
    big.size = content.len;
    digest_of(content.data, content.len, &big.digest);
    snprintf(big.objects, sizeof big.objects, "%s/repo/.git/objects", w->dir);
    return big;
}

/* Reads it in pieces of PIECE bytes. */
static void check_stream(const struct big *big, size_t piece)
{
    AUTO(reader_freep)
    struct reader *reader = blob_stream_open(big->objects, &big->id, big->size, NULL);
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *data = mem_alloc(piece);
    struct error err = {0};
    struct digest digest;
    uint64_t len = 0;
    size_t got = 1;
    assert_non_null(reader);
    while (got > 0) {
        if (reader_read(reader, data, piece, &got, &err) != 0) {
            fail_msg("%s", err.text);
        }
        hasher_add(hasher, data, got);
        len += got;
    }
    hasher_finish(hasher, &digest);
    assert_int_equal(len, big->size);
    assert_true(digest_equal(&digest, &big->digest));
}

/* Whether reading to the end is an error. */
static bool is_damaged(const struct big *big)
{
    AUTO(reader_freep)
    struct reader *reader = blob_stream_open(big->objects, &big->id, big->size, NULL);
    struct error err = {0};
    char data[65536];
    size_t got = 1;
    assert_non_null(reader);
    while (got > 0) {
        if (reader_read(reader, data, sizeof data, &got, &err) != 0) {
            assert_int_equal(err.code, ERR_STORE);
            return true;
        }
    }
    return false;
}

static void make_repository(const struct world *w)
{
    shell(w, "mkdir $W/repo; cd $W/repo; git init -q; head -c 3000000 /dev/urandom >big; "
             "head -c 3000000 /dev/zero >>big; git add big; git commit -qm one");
}

static void test_blob_stream__a_file_of_its_own(void **state)
{
    const struct world *w = *state;
    make_repository(w);
    struct big big = look_at(w, "HEAD");
    check_stream(&big, 1000);
    check_stream(&big, 1 << 20);
}

static void test_blob_stream__whole_in_a_pack(void **state)
{
    const struct world *w = *state;
    make_repository(w);
    shell(w, "cd $W/repo; for i in 1 2 3 4 5 6 7 8 9; do echo $i >$i; done; git add .; "
             "git commit -qm two; git gc -q; test -z \"$(find .git/objects/?? -type f)\"");
    struct big big = look_at(w, "HEAD");
    check_stream(&big, 1000);
    check_stream(&big, 1 << 20);
}

static void test_blob_stream__a_difference_is_left_to_libgit2(void **state)
{
    const struct world *w = *state;
    make_repository(w);
    shell(w, "cd $W/repo; echo more >>big; git commit -qam two; git gc -q; "
             "git verify-pack -v .git/objects/pack/*.idx | grep -q 'chain length = 1'");
    struct big first = look_at(w, "HEAD~1");
    struct big second = look_at(w, "HEAD");
    struct reader *one = blob_stream_open(first.objects, &first.id, first.size, NULL);
    struct reader *two = blob_stream_open(second.objects, &second.id, second.size, NULL);
    assert_int_equal((one != NULL) + (two != NULL), 1);
    reader_freep(&one);
    reader_freep(&two);
}

static void test_blob_stream__another_size_or_id_is_not_it(void **state)
{
    const struct world *w = *state;
    make_repository(w);
    for (int packed = 0; packed < 2; packed++) {
        struct big big = look_at(w, "HEAD");
        assert_null(blob_stream_open(big.objects, &big.id, big.size + 1, NULL));
        assert_null(blob_stream_open("/nowhere", &big.id, big.size, NULL));
        big.id.id[19] ^= 1;
        assert_null(blob_stream_open(big.objects, &big.id, big.size, NULL));
        shell(w, "cd $W/repo; git gc -q");
    }
}

static void test_blob_stream__damage_is_seen(void **state)
{
    const struct world *w = *state;
    make_repository(w);
    shell(w, "cd $W/repo; git gc -q; chmod u+w .git/objects/pack/*");
    struct big big = look_at(w, "HEAD");
    assert_false(is_damaged(&big));
    /* A byte in its middle, which only the checksum at the end tells of. */
    shell(w, "cd $W/repo; p=$(echo .git/objects/pack/*.pack); cp $p $W/whole; "
             "printf '\\377\\001' | dd of=$p bs=1 seek=1000000 conv=notrunc");
    assert_true(is_damaged(&big));
    shell(w, "cd $W/repo; p=$(echo .git/objects/pack/*.pack); cp $W/whole $p; "
             "truncate -s 1000000 $p");
    assert_true(is_damaged(&big));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blob_stream__a_file_of_its_own, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_blob_stream__whole_in_a_pack, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_blob_stream__a_difference_is_left_to_libgit2,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_blob_stream__another_size_or_id_is_not_it, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_blob_stream__damage_is_seen, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
