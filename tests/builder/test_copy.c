/* Tests of COPY and ADD as functions on trees. A tree is a list of lines: "d 755 path", "f 644
 * path", "l path>target", "h path>file". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "builder/copy.h"

static void add_line(struct tree_builder *b, char *line)
{
    struct entry entry = {.mode = 0777};
    char *path = line + 2;
    char *target = strchr(line, '>');
    if (target) {
        *target = '\0';
        entry.link = target + 1;
    }
    switch (line[0]) {
    case 'd':
    case 'f':
        entry.mode = (uint32_t)strtoul(line + 2, &path, 8);
        path++;
        entry.type = line[0] == 'd' ? ENTRY_DIR : ENTRY_FILE;
        break;
    case 'l':
        entry.type = ENTRY_SYMLINK;
        break;
    default:
        entry.type = ENTRY_HARDLINK;
    }
    entry.path = path;
    tree_builder_add(b, &entry);
}

static struct tree *make(const char *text)
{
    struct tree_builder *b = tree_builder_new();
    AUTO(mem_freep) char *copy = mem_strdup(text);
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (line[0]) {
            add_line(b, line);
        }
    }
    return tree_builder_finish(b);
}

/* What a difference holds, without folders that are only there as parents. */
static char *show(const struct tree *tree)
{
    struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *e = tree_at(tree, i);
        if (e->flags & ENTRY_PARENT) {
            continue;
        }
        if (e->type == ENTRY_DIR || e->type == ENTRY_FILE) {
            buf_printf(&out, "%c %o %s", e->type == ENTRY_DIR ? 'd' : 'f', e->mode, e->path);
        } else {
            buf_printf(&out, "%c %s>%s", e->type == ENTRY_SYMLINK ? 'l' : 'h', e->path, e->link);
        }
        if (e->uid || e->gid) {
            buf_printf(&out, " %u:%u", e->uid, e->gid);
        }
        buf_putc(&out, '\n');
    }
    return buf_take(&out);
}

struct copy_case {
    const char *base, *source, *pattern;
    struct copy_plan plan;
    const char *expected; /* NULL: fails */
    const char *words;    /* of the error */
};

static int run(const struct copy_case *c, char **got, struct error *err)
{
    AUTO(tree_unrefp) struct tree *base = make(c->base);
    AUTO(tree_unrefp) struct tree *source = make(c->source);
    AUTO(edit_freep) struct edit *edit = edit_new(base);
    struct copy_sources sources = {0};
    int r = copy_select(source, c->pattern, true, &c->plan, &sources, err);
    for (size_t i = 0; i < sources.len && r == 0; i++) {
        r = copy_into(edit, source, &sources.items[i], &c->plan, err);
    }
    copy_sources_release(&sources);
    if (r == 0) {
        AUTO(tree_unrefp) struct tree *diff = edit_finish(MEM_STEAL(edit));
        *got = show(diff);
    }
    return r;
}

static void check(const struct copy_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct error err = {0};
        AUTO(mem_freep) char *got = NULL;
        int r = run(&cases[i], &got, &err);
        if (cases[i].expected) {
            if (r != 0) {
                fail_msg("case %zu: %s", i, err.text);
            }
            assert_string_equal(got, cases[i].expected);
        } else {
            assert_int_equal(r, -1);
            assert_int_equal(err.code, ERR_STEP);
            assert_non_null(strstr(err.text, cases[i].words));
        }
    }
}

static void test_copy__where_files_and_folders_land(void **state)
{
    (void)state;
    static const struct copy_case cases[] = {
        {"", "f 640 a", "a", {.dest = "/b"}, "f 640 b\n", NULL},
        {"", "f 640 a", "a", {.dest = "/b/"}, "d 755 b\nf 640 b/a\n", NULL},
        {"d 700 b", "f 640 a", "a", {.dest = "/b"}, "f 640 b/a\n", NULL},
        /* A folder's content, not the folder; what takes it is made like any parent. */
        {"",
         "d 700 s\nf 600 s/a\nd 711 s/t",
         "s",
         {.dest = "/x/y"},
         "d 755 x\nd 755 x/y\nf 600 x/y/a\nd 711 x/y/t\n",
         NULL},
        {"d 700 x", "d 711 s\nf 600 s/a", "s", {.dest = "/x"}, "f 600 x/a\n", NULL},
        /* A nested folder that is there takes the source's mode. */
        {"d 755 x\nd 755 x/t", "d 755 s\nd 700 s/t", "s", {.dest = "/x"}, "d 700 x/t\n", NULL},
        {"",
         "f 644 a.txt\nf 644 b.md\nf 644 c.txt",
         "*.txt",
         {.dest = "/d/"},
         "d 755 d\nf 644 d/a.txt\nf 644 d/c.txt\n",
         NULL},
        {"", "f 644 a", "*.none", {.dest = "/d/"}, "", NULL},
        {"", "f 644 a", "b", {.dest = "/d/"}, NULL, "b: not found"},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__links_at_both_ends(void **state)
{
    (void)state;
    static const struct copy_case cases[] = {
        /* The destination is followed, what lies deeper in it is replaced. */
        {"d 755 real\nl in>real", "f 644 a", "a", {.dest = "/in/"}, "f 644 real/a\n", NULL},
        {"f 644 file\nl in>file", "f 600 a", "a", {.dest = "/in"}, "f 600 file\n", NULL},
        {"l in>made/by/copy",
         "f 600 a",
         "a",
         {.dest = "/in/"},
         "d 755 made\nd 755 made/by\nd 755 made/by/copy\nf 600 made/by/copy/a\n",
         NULL},
        {"d 755 x\nl x/a>b\nf 644 x/b",
         "d 755 s\nf 600 s/a",
         "s",
         {.dest = "/x"},
         "f 600 x/a\n",
         NULL},
        /* A link that is named is followed, one that lies in a folder stays a link. */
        {"", "f 600 a\nl b>a", "b", {.dest = "/"}, "f 600 b\n", NULL},
        {"",
         "d 755 s\nl s/b>../../../etc/passwd",
         "s",
         {.dest = "/d"},
         "d 755 d\nl d/b>../../../etc/passwd\n",
         NULL},
        {"",
         "d 755 s\nf 644 s/a\nh s/b>s/a",
         "s",
         {.dest = "/d"},
         "d 755 d\nf 644 d/a\nh d/b>d/a\n",
         NULL},
        {"l a>b\nl b>a", "f 644 x", "x", {.dest = "/a/x"}, NULL, "too many levels"},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__one_kind_does_not_replace_another(void **state)
{
    (void)state;
    static const struct copy_case cases[] = {
        {"f 644 x", "d 755 s\nf 644 s/a", "s", {.dest = "/x"}, NULL, "non-directory"},
        {"d 755 x\nd 755 x/a", "d 755 s\nf 644 s/a", "s", {.dest = "/x"}, NULL, "x/a"},
        {"f 644 x", "f 644 a", "a", {.dest = "/x/a"}, NULL, "x"},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__owner_and_mode(void **state)
{
    (void)state;
    static const struct owner app = {5, 6};
    struct chmod octal;
    struct chmod symbolic;
    struct chmod special;
    struct error err = {0};
    assert_int_equal(chmod_parse("6751", &special, &err), 0);
    assert_int_equal(chmod_parse("640", &octal, &err), 0);
    assert_int_equal(chmod_parse("go-rwx", &symbolic, &err), 0);
    const struct copy_case cases[] = {
        {"",
         "f 644 a",
         "a",
         {.dest = "/n/m/", .chown = &app},
         "d 755 n 5:6\nd 755 n/m 5:6\nf 644 n/m/a 5:6\n",
         NULL},
        {"",
         "d 755 s\nf 755 s/a\nl s/l>a",
         "s",
         {.dest = "/n", .chmod = &octal},
         "d 640 n\nf 640 n/a\nl n/l>a\n",
         NULL},
        {"",
         "d 755 s\nf 755 s/a\nd 755 s/t",
         "s",
         {.dest = "/n", .chmod = &symbolic},
         "d 755 n\nf 700 n/a\nd 700 n/t\n",
         NULL},
        /* What is made on the way has a number's rights, and no more of it. */
        {"d 711 o",
         "f 644 a",
         "a",
         {.dest = "/o/n/m/a", .chmod = &special},
         "d 751 o/n\nd 751 o/n/m\nf 6751 o/n/m/a\n",
         NULL},
        {"",
         "d 755 s\nd 700 s/t",
         "s",
         {.dest = "/n", .chmod = &special},
         "d 751 n\nd 6751 n/t\n",
         NULL},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__parents_keep_what_they_are_in_the_source(void **state)
{
    (void)state;
    static const char source[] = "d 700 x\nd 711 x/y\nf 644 x/y/a\nf 644 x/y/b";
    static const struct owner app = {5, 6};
    struct chmod octal;
    struct error err = {0};
    assert_int_equal(chmod_parse("640", &octal, &err), 0);
    const struct copy_case cases[] = {
        {"",
         source,
         "x/y/a",
         {.dest = "/d/", .parents = true},
         "d 755 d\nd 700 d/x\nd 711 d/x/y\nf 644 d/x/y/a\n",
         NULL},
        {"",
         source,
         "x/./y/a",
         {.dest = "/d", .parents = true},
         "d 755 d\nd 711 d/y\nf 644 d/y/a\n",
         NULL},
        {"",
         source,
         "x/y",
         {.dest = "/d/", .parents = true},
         "d 755 d\nd 700 d/x\nd 711 d/x/y\nf 644 d/x/y/a\nf 644 d/x/y/b\n",
         NULL},
        {"", source, "x/z", {.dest = "/d/", .parents = true}, NULL, "x/z: not found"},
        {"", source, "x/./.", {.dest = "/d/", .parents = true}, NULL, "needs a name"},
        {"", source, "x/./z*", {.dest = "/d/", .parents = true}, "d 755 d\n", NULL},
        {"", source, "z*/./y", {.dest = "/d/", .parents = true}, "", NULL},
        {"", source, "z/./y*", {.dest = "/d/", .parents = true}, NULL, "z: not found"},
        /* A pivot behind wildcards: what is made below the destination is what follows it. */
        {"",
         "d 755 a\nd 700 a/long\nf 644 a/long/f\nd 700 a/s\nf 644 a/s/g",
         "a/*/./*",
         {.dest = "/d", .parents = true},
         "d 755 d\nf 644 d/f\nf 644 d/g\n",
         NULL},
        {"",
         "d 755 a\nd 700 a/b\nd 711 a/b/c\nf 644 a/b/c/f\nf 644 a/g\nl a/l>b",
         "./**/[cl]",
         {.dest = "/d", .parents = true},
         "d 755 d\nd 755 d/a\nd 700 d/a/b\nd 711 d/a/b/c\nf 644 d/a/b/c/f\nl d/a/l>b\n",
         NULL},
        /* A folder that is there already takes over the mode alone, and once. */
        {"d 755 x",
         source,
         "x/y/*",
         {.dest = "/", .parents = true, .chown = &app, .chmod = &octal},
         "d 700 x\nd 640 x/y 5:6\nf 640 x/y/a 5:6\nf 640 x/y/b 5:6\n",
         NULL},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__excluded_folders_come_back_with_what_is_taken_back(void **state)
{
    (void)state;
    static const char *const patterns[] = {"t", "!t/keep"};
    AUTO(ignore_freep) struct ignore *exclude = NULL;
    struct error err = {0};
    assert_int_equal(ignore_parse_patterns(patterns, 2, &exclude, &err), 0);
    const struct copy_case cases[] = {
        {"",
         "d 755 s\nf 644 s/a\nd 700 s/t\nf 644 s/t/drop\nf 644 s/t/keep",
         "s",
         {.dest = "/d", .exclude = exclude},
         "d 755 d\nf 644 d/a\nd 700 d/t\nf 644 d/t/keep\n",
         NULL},
        {"",
         "d 755 s\nf 644 s/a\nd 700 s/t\nf 644 s/t/drop",
         "s",
         {.dest = "/d", .exclude = exclude},
         "d 755 d\nf 644 d/a\n",
         NULL},
        /* A file that is named is taken in any case. */
        {"", "f 644 t", "t*", {.dest = "/d", .exclude = exclude}, "f 644 d\n", NULL},
        /* With --parents patterns see the whole path, from the pivot on. */
        {"",
         "d 755 s\nd 700 s/t\nf 644 s/t/drop\nf 644 s/t/keep",
         "s/./t/*",
         {.dest = "/d", .exclude = exclude, .parents = true},
         "d 755 d\nd 700 d/t\nf 644 d/t/keep\n",
         NULL},
        {"",
         "d 755 s\nd 700 s/t\nf 644 s/t/drop",
         "s/t",
         {.dest = "/d", .exclude = exclude, .parents = true},
         "d 755 d\nd 755 d/s\nd 700 d/s/t\nf 644 d/s/t/drop\n",
         NULL},
        {"",
         "d 755 t\nd 700 t/u\nf 644 t/u/drop",
         "t/u",
         {.dest = "/d", .exclude = exclude, .parents = true},
         "d 755 d\n",
         NULL},
    };
    check(cases, ARRAY_LEN(cases));
}

static void test_copy__archives_replace_across_kinds(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *base = make("f 644 x\nd 755 y\nf 644 y/gone\nd 755 real\nl in>real");
    AUTO(tree_unrefp) struct tree *archive = make("d 700 x\nf 600 x/a\nf 640 y\nf 644 p/q/deep");
    AUTO(edit_freep) struct edit *edit = edit_new(base);
    struct copy_plan plan = {.dest = "/"};
    struct error err = {0};
    assert_int_equal(copy_unpack(edit, archive, &plan, &err), 0);
    AUTO(tree_unrefp) struct tree *diff = edit_finish(MEM_STEAL(edit));
    AUTO(tree_unrefp) struct tree *after = tree_merge(base, diff);
    AUTO(mem_freep) char *text = show(after);
    assert_string_equal(text, "l in>real\nd 755 p\nd 755 p/q\nf 644 p/q/deep\nd 755 real\nd 700 x\n"
                              "f 600 x/a\nf 640 y\n");
}

static void test_copy__links_of_an_archive_stay_inside_of_what_it_is_unpacked_into(void **state)
{
    (void)state;
    static const struct {
        const char *base, *archive, *expected; /* NULL: fails */
    } cases[] = {
        {"d 755 o\nd 700 o/etc\nd 755 etc", "l e>/etc\nf 644 e/new",
         "l o/e>/etc\nf 644 o/etc/new\n"},
        {"d 755 o\nd 755 etc\nl o/e>../../etc\nd 755 o/etc", "f 644 e/x/new",
         "d 755 o/etc/x\nf 644 o/etc/x/new\n"},
        {"d 755 etc", "l e>/etc\nf 644 e/new", NULL},
        {"", "l e>nothing\nf 644 e/x/new", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_unrefp) struct tree *base = make(cases[i].base);
        AUTO(tree_unrefp) struct tree *archive = make(cases[i].archive);
        AUTO(edit_freep) struct edit *edit = edit_new(base);
        struct copy_plan plan = {.dest = "/o/"};
        struct error err = {0};
        int r = copy_unpack(edit, archive, &plan, &err);
        assert_int_equal(r, cases[i].expected ? 0 : -1);
        if (r != 0) {
            assert_non_null(strstr(err.text, "leads to nothing"));
            continue;
        }
        AUTO(tree_unrefp) struct tree *diff = edit_finish(MEM_STEAL(edit));
        AUTO(mem_freep) char *text = show(diff);
        assert_string_equal(text, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy__where_files_and_folders_land),
        cmocka_unit_test(test_copy__links_at_both_ends),
        cmocka_unit_test(test_copy__one_kind_does_not_replace_another),
        cmocka_unit_test(test_copy__owner_and_mode),
        cmocka_unit_test(test_copy__parents_keep_what_they_are_in_the_source),
        cmocka_unit_test(test_copy__excluded_folders_come_back_with_what_is_taken_back),
        cmocka_unit_test(test_copy__archives_replace_across_kinds),
        cmocka_unit_test(test_copy__links_of_an_archive_stay_inside_of_what_it_is_unpacked_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
