#include "tests/oci/image_fixture.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "oci/images.h"
#include "oci/prune.h"

enum { HOUR = 3600 };

/* Makes PATH of the store look as if it was last used so many seconds ago. */
static void age(const struct store *store, const char *path, long seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(store_fd(store), path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void age_blob(const struct store *store, const struct digest *digest, long seconds)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(digest, hex));
    age(store, path, seconds);
}

static void age_everything(const struct fixture *f, long seconds)
{
    struct error err = {0};
    AUTO(usage_release) struct usage usage = {0};
    assert_int_equal(usage_read(f->store, &usage, &err), 0);
    for (size_t i = 0; i < usage.len; i++) {
        if (usage.items[i].kind != USAGE_TEMP) {
            age(f->store, usage.items[i].path, seconds);
        }
    }
}

static void make_dir(const struct store *store, const char *path)
{
    struct error err = {0};
    AUTO(mem_freep) char *below = mem_printf("%s/sub/deep", path);
    AUTO(mem_freep) char *file = mem_printf("%s/file", below);
    assert_int_equal(file_make_dirs(store_fd(store), below, 0755, &err), 0);
    assert_int_equal(file_write_atomic(store_fd(store), file, "content", 7, 0644, false, &err), 0);
}

static bool exists(const struct store *store, const char *path)
{
    struct stat st;
    return fstatat(store_fd(store), path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Prunes as another process would, by a handle of its own. */
static struct prune_result prune_it(const struct fixture *f, const struct prune_options *options)
{
    struct error err = {0};
    AUTO(store_freep) struct store *store = NULL;
    struct prune_result result = {0};
    assert_int_equal(store_open(store_path(f->store), &store, &err), 0);
    if (prune(store, options, &result, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return result;
}

static struct descriptor put_text(struct store *store, const char *text)
{
    return put(store, MEDIA_OCI_LAYER, text, strlen(text));
}

static bool has(const struct fixture *f, const struct descriptor *d)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&d->digest, hex));
    return exists(f->store, path);
}

static void test_prune__images_with_tags_stay(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor tagged = put_image(f->store, "amd64", "tagged", MEDIA_OCI_LAYER);
    struct descriptor index = put_index(f->store);
    struct descriptor other = put_image(f->store, "amd64", "other", MEDIA_OCI_LAYER);
    struct descriptor loose = put_text(f->store, "loose");
    assert_int_equal(images_tag(f->store, "host/app:1", &tagged, &err), 0);
    assert_int_equal(images_tag(f->store, "host/index:1", &index, &err), 0);
    assert_int_equal(images_add(f->store, &other, &err), 0);
    assert_int_equal(store_origin_add(f->store, &tagged.digest, "host/app", &err), 0);
    assert_int_equal(store_origin_add(f->store, &loose.digest, "host/app", &err), 0);
    age_everything(f, HOUR);
    struct prune_options options = {0};
    struct prune_result result = prune_it(f, &options);
    assert_true(result.removed >= 5); /* manifest, config, layer, loose, its origin */
    assert_int_equal(result.others, 1);
    assert_false(has(f, &other));
    assert_false(has(f, &loose));
    AUTO(image_release) struct image image = {0};
    AUTO(image_release) struct image of_index = {0};
    assert_int_equal(images_load(f->store, &tagged, NULL, &image, &err), 0);
    assert_string_equal(image.origin, "host/app");
    assert_true(store_has_blob(f->store, &image.layers[0].blob.digest, NULL));
    struct platform platform = {0};
    assert_int_equal(platform_parse("linux/amd64", &platform, &err), 0);
    assert_int_equal(images_load(f->store, &index, &platform, &of_index, &err), 0);
    platform_release(&platform);
    struct image_tag *tags = NULL;
    size_t len = 0;
    assert_int_equal(images_list(f->store, &tags, &len, &err), 0);
    assert_int_equal(len, 2); /* OTHER is not known any more */
    images_list_release(tags, len);
}

static void test_prune__dry_run_removes_nothing(void **state)
{
    struct fixture *f = *state;
    struct descriptor loose = put_text(f->store, "loose");
    make_dir(f->store, "unpacked/overlay/0123");
    age_everything(f, HOUR);
    struct prune_options options = {.dry_run = true};
    struct prune_result planned = prune_it(f, &options);
    assert_true(has(f, &loose));
    assert_true(exists(f->store, "unpacked/overlay/0123/sub/deep/file"));
    options.dry_run = false;
    struct prune_result done = prune_it(f, &options);
    assert_int_equal(planned.removed, 2);
    assert_int_equal(done.removed, 2);
    assert_int_equal(planned.freed_bytes, done.freed_bytes);
    assert_false(has(f, &loose));
    assert_false(exists(f->store, "unpacked/overlay/0123"));
}

static void test_prune__the_oldest_goes_first_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct descriptor blobs[6];
    for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
        char text[50000];
        memset(text, 'a' + (int)i, sizeof text);
        blobs[i] = put(f->store, MEDIA_OCI_LAYER, text, sizeof text);
        age_blob(f->store, &blobs[i].digest, HOUR * (long)(i % 2 ? 10 + i : 20 + i));
    }
    struct prune_options options = {.has_keep = true, .keep_bytes = 3 * 53248 + 30000};
    struct prune_result result = prune_it(f, &options);
    /* 20, 22, 24 hours are the even ones. tmp/ of the fixture and of prune count a little. */
    assert_int_equal(result.removed, 3);
    for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
        assert_int_equal(has(f, &blobs[i]), i % 2 == 1);
    }
    assert_int_equal(prune_it(f, &options).removed, 0);
    options = (struct prune_options){.older_than_ns = INT64_C(14) * HOUR * 1000000000};
    result = prune_it(f, &options);
    assert_int_equal(result.removed, 1);
    assert_false(has(f, &blobs[5])); /* 15 hours */
}

static void test_prune__cache_mounts_only_when_asked(void **state)
{
    struct fixture *f = *state;
    make_dir(f->store, "cache-mounts/0123");
    make_dir(f->store, "git/0123");
    make_dir(f->store, "unpacked/user/0123");
    age_everything(f, HOUR);
    struct prune_options options = {0};
    prune_it(f, &options);
    assert_true(exists(f->store, "cache-mounts/0123/sub/deep/file"));
    assert_false(exists(f->store, "git/0123"));
    assert_false(exists(f->store, "unpacked/user/0123"));
    options.cache_mounts = true;
    prune_it(f, &options);
    assert_false(exists(f->store, "cache-mounts/0123"));
}

static void test_prune__a_record_goes_with_its_blob(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor kept = put_image(f->store, "amd64", "kept", MEDIA_OCI_LAYER);
    struct descriptor loose = put_text(f->store, "loose");
    assert_int_equal(images_tag(f->store, "host/app:1", &kept, &err), 0);
    char digest[DIGEST_TEXT_SIZE];
    AUTO(mem_freep)
    char *of_kept = mem_printf("{\"digest\":\"%s\"}", digest_format(&kept.digest, digest));
    AUTO(mem_freep)
    char *of_loose = mem_printf("{\"digest\":\"%s\"}", digest_format(&loose.digest, digest));
    assert_int_equal(store_record_put(f->store, "steps", "a", of_kept, strlen(of_kept), &err), 0);
    assert_int_equal(store_record_put(f->store, "steps", "b", of_loose, strlen(of_loose), &err), 0);
    assert_int_equal(store_record_put(f->store, "blocks", digest, "x", 1, &err), 0);
    age_everything(f, HOUR);
    struct prune_options options = {0};
    prune_it(f, &options);
    assert_true(exists(f->store, "records/steps/a"));
    assert_false(exists(f->store, "records/steps/b"));
    AUTO(mem_freep) char *blocks = mem_printf("records/blocks/%s", digest);
    assert_false(exists(f->store, blocks));
}

/* The file of the tag NAME, as usage_read() sees it. */
static void age_tag(const struct fixture *f, const char *name, long seconds)
{
    struct error err = {0};
    AUTO(usage_release) struct usage usage = {0};
    AUTO(mem_freep) char *wanted = mem_printf("tags/%s", name);
    assert_int_equal(usage_read(f->store, &usage, &err), 0);
    for (size_t i = 0; i < usage.len; i++) {
        if (strcmp(usage.items[i].name, wanted) == 0) {
            age(f->store, usage.items[i].path, seconds);
            return;
        }
    }
    fail_msg("no tag %s", name);
}

static void test_prune__all_takes_images_the_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor old = put_image(f->store, "amd64", "shared", MEDIA_OCI_LAYER);
    struct descriptor new = put_image(f->store, "arm64", "shared", MEDIA_OCI_LAYER);
    struct descriptor layer = put_text(f->store, "shared");
    assert_int_equal(images_tag(f->store, "host/old:1", &old, &err), 0);
    assert_int_equal(images_tag(f->store, "host/new:1", &new, &err), 0);
    age_everything(f, HOUR);
    age_tag(f, "host/old:1", 5 * HOUR);
    struct prune_options nothing = {0};
    assert_int_equal(prune_it(f, &nothing).removed, 0);
    /* One byte too much: the older one has to go, and what both need stays. */
    AUTO(usage_release) struct usage usage = {0};
    assert_int_equal(usage_read(f->store, &usage, &err), 0);
    struct prune_options options = {.all = true, .has_keep = true};
    options.keep_bytes = usage.bytes - 1;
    prune_it(f, &options);
    struct descriptor top;
    bool found = true;
    assert_int_equal(images_resolve(f->store, "host/old:1", &top, &found, &err), 0);
    assert_false(found);
    assert_int_equal(images_resolve(f->store, "host/new:1", &top, &found, &err), 0);
    assert_true(found);
    assert_true(has(f, &new));
    assert_true(has(f, &layer));
    age_everything(f, HOUR);
    options = (struct prune_options){.all = true};
    prune_it(f, &options);
    assert_false(has(f, &old));
    assert_false(has(f, &new));
    assert_false(has(f, &layer));
}

static void test_prune__what_others_use_stays(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor used = put_text(f->store, "used");
    struct descriptor unused = put_text(f->store, "unused");
    make_dir(f->store, "unpacked/overlay/01");
    make_dir(f->store, "unpacked/overlay/02");
    assert_int_equal(store_record_put(f->store, "resolved", "used", "x", 1, &err), 0);
    assert_int_equal(store_record_put(f->store, "resolved", "unused", "x", 1, &err), 0);
    age_everything(f, HOUR);
    /* What a running build does. */
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    bool found = false;
    assert_int_equal(store_hold(f->store, &err), 0);
    assert_true(store_has_blob(f->store, &used.digest, NULL));
    assert_true(store_touch(f->store, "unpacked/overlay/01"));
    assert_false(store_touch(f->store, "unpacked/overlay/03"));
    assert_int_equal(store_record_get(f->store, "resolved", "used", &value, &found, &err), 0);
    struct prune_options options = {.all = true};
    assert_int_equal(prune_it(f, &options).others, 1);
    assert_true(has(f, &used));
    assert_true(exists(f->store, "unpacked/overlay/01/sub/deep/file"));
    assert_true(exists(f->store, "records/resolved/used"));
    assert_false(has(f, &unused));
    assert_false(exists(f->store, "unpacked/overlay/02"));
    assert_false(exists(f->store, "records/resolved/unused"));
}

/* Looking is no use: who only looks must not make things young. */
static void test_prune__looking_is_no_use(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct descriptor blob = put_text(f->store, "blob");
    age_everything(f, HOUR);
    AUTO(store_freep) struct store *looker = NULL;
    AUTO(usage_release) struct usage usage = {0};
    assert_int_equal(store_open(store_path(f->store), &looker, &err), 0);
    assert_true(store_has_blob(looker, &blob.digest, NULL));
    assert_int_equal(usage_read(looker, &usage, &err), 0);
    int64_t hour_ago = (int64_t)time(NULL) - HOUR;
    assert_true(usage.items[0].used_ns / 1000000000 <= hour_ago);
}

struct race {
    const struct fixture *f;
    int stop; /* atomic */
};

static void *prune_again_and_again(void *arg)
{
    struct race *race = arg;
    struct prune_options options = {.all = true};
    while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
        prune_it(race->f, &options);
    }
    return NULL;
}

/* Builds come and go while room is made: what one of them has seen it can open. */
static void test_prune__what_was_seen_can_be_opened(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct race race = {.f = f};
    pthread_t thread;
    int seen = 0;
    assert_int_equal(pthread_create(&thread, NULL, prune_again_and_again, &race), 0);
    for (int i = 0; i < 600; i++) {
        AUTO(store_freep) struct store *build = NULL;
        struct descriptor blob = put_text(f->store, "blob");
        char hex[DIGEST_HEX_SIZE];
        AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&blob.digest, hex));
        assert_int_equal(store_open(store_path(f->store), &build, &err), 0);
        assert_int_equal(store_hold(build, &err), 0);
        struct timespec long_ago[2] = {{1, 0}, {1, 0}};
        if (utimensat(store_fd(build), path, long_ago, 0) != 0) {
            continue;
        }
        usleep((useconds_t)(i % 7) * 100);
        if (store_has_blob(build, &blob.digest, NULL)) {
            AUTO(fd_closep) int fd = -1;
            usleep((useconds_t)(i % 3) * 300);
            if (store_open_blob(build, &blob.digest, &fd, NULL, &err) != 0) {
                fail_msg("round %d: %s", i, err.text);
            }
            seen++;
        }
    }
    __atomic_store_n(&race.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_true(seen > 0 && seen < 600); /* both happened */
}

int main(void)
{
#define CASE(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_prune__images_with_tags_stay),
        CASE(test_prune__dry_run_removes_nothing),
        CASE(test_prune__the_oldest_goes_first_until_there_is_room),
        CASE(test_prune__cache_mounts_only_when_asked),
        CASE(test_prune__a_record_goes_with_its_blob),
        CASE(test_prune__all_takes_images_the_oldest_first),
        CASE(test_prune__what_others_use_stays),
        CASE(test_prune__looking_is_no_use),
        CASE(test_prune__what_was_seen_can_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
