#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "builder/duration.h"
#include "builder/mount.h"

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "V") == 0 ? "value" : strcmp(name, "ID") == 0 ? "7" : NULL;
}

static const struct expander expander = {.get = get};

/* The mount in one line, to compare. */
static void describe(const struct run_mount *m, char *out, size_t size)
{
    snprintf(out, size,
             "%s t=%s s=%s f=%s i=%s e=%s sh=%d ro=%d rq=%d u=%d/%u g=%d/%u m=%d/%o z=%llu",
             mount_type_name(m->type), m->target ? m->target : "-", m->source ? m->source : "-",
             m->from ? m->from : "-", m->id ? m->id : "-", m->env ? m->env : "-", (int)m->sharing,
             m->readonly, m->required, m->has_uid, m->uid, m->has_gid, m->gid, m->has_mode, m->mode,
             (unsigned long long)m->size_bytes);
}

static void test_mount__options_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"target=/x", "bind t=/x s=- f=- i=- e=- sh=0 ro=1 rq=0 u=0/0 g=0/0 m=0/0 z=0"},
        {"type=bind,dst=/x,src=a,from=st,rw",
         "bind t=/x s=a f=st i=- e=- sh=0 ro=0 rq=0 u=0/0 g=0/0 m=0/0 z=0"},
        {"TYPE=Cache,destination=/c/,sharing=Locked,uid=$ID,gid=8,mode=0750",
         "cache t=/c/ s=- f=- i=/c e=- sh=2 ro=0 rq=0 u=1/7 g=1/8 m=1/750 z=0"},
        {"type=cache,target=rel//x,id=my,readonly=true",
         "cache t=rel//x s=- f=- i=my e=- sh=0 ro=1 rq=0 u=0/0 g=0/0 m=0/0 z=0"},
        {"type=tmpfs,target=/t,size=64m",
         "tmpfs t=/t s=- f=- i=- e=- sh=0 ro=0 rq=0 u=0/0 g=0/0 m=0/0 z=67108864"},
        {"type=tmpfs,target=/t,size=1.5KiB",
         "tmpfs t=/t s=- f=- i=- e=- sh=0 ro=0 rq=0 u=0/0 g=0/0 m=0/0 z=1536"},
        {"type=secret,id=tok,env=TOK,required",
         "secret t=- s=- f=- i=tok e=TOK sh=0 ro=1 rq=1 u=0/0 g=0/0 m=0/0 z=0"},
        {"type=secret,id=$V,required=false,mode=400",
         "secret t=- s=- f=- i=value e=- sh=0 ro=1 rq=0 u=0/0 g=0/0 m=1/400 z=0"},
        {"type=ssh,readwrite=0", "ssh t=- s=- f=- i=- e=- sh=0 ro=1 rq=0 u=0/0 g=0/0 m=0/0 z=0"},
        {"\"target=/a,b\",\"source=q\"\"q\"",
         "bind t=/a,b s=q q f=- i=- e=- sh=0 ro=1 rq=0 u=0/0 g=0/0 m=0/0 z=0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct run_mount m = {0};
        struct expander x = expander;
        x.ignore_quotes = true;
        if (mount_parse(cases[i].text, &x, &m, &err) != 0) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        char have[512];
        describe(&m, have, sizeof have);
        char want[512];
        snprintf(want, sizeof want, "%s", cases[i].expected);
        char *quote = strstr(want, "q q");
        if (quote) {
            quote[1] = '"';
        }
        assert_string_equal(have, want);
        run_mount_release(&m);
    }
}

static void test_mount__what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
        unsigned column;
        bool without_values; /* the parser sees it too */
    } cases[] = {
        {"", "no options", 0, true},
        {"type=bind,tragte=/x", "no option 'tragte', did you mean target?", 11, true},
        {"type=bnid,target=/x", "did you mean bind?", 1, true},
        {"type=cache,target=/x,sharing=lcoked", "did you mean locked?", 22, true},
        {"target", "target needs a value", 1, true},
        {"from=$X,target=/x", "no variables here", 1, true},
        {"target=/x,", "no option ''", 11, true},
        {"target=/x,readonly=maybe", "readonly=maybe", 11, false},
        {"target=/x,required", "required does not go with type=bind", 11, false},
        {"type=cache,target=/x,size=1m", "size does not go with type=cache", 22, false},
        {"type=tmpfs,target=/x,size=big", "size=big", 22, false},
        {"type=tmpfs,target=/x,size=-1", "size=-1", 22, false},
        {"type=tmpfs,target=/x,uid=1", "uid does not go with type=tmpfs", 0, false},
        {"target=/x,mode=755", "mode does not go with type=bind", 0, false},
        {"type=cache,target=/x,uid=x", "uid=x", 22, false},
        {"type=cache,target=/x,uid=4294967296", "uid=4294967296", 22, false},
        {"type=cache,target=/x,mode=9", "octal", 22, false},
        {"type=secret,id=a,from=b", "no from", 0, false},
        {"type=secret", "needs an id", 0, false},
        {"type=secret,id=a,src=b", "same thing", 0, false},
        {"type=bind,target=/x,sharing=shared", "sharing goes with type=cache", 0, false},
        {"\"target=/x", "not closed", 1, true},
        {"target=\"/x\"", "around the whole option", 1, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct run_mount m = {0};
        if (mount_parse(cases[i].text, &expander, &m, &err) != -1) {
            fail_msg("%s was taken", cases[i].text);
        }
        assert_int_equal(err.code, ERR_USAGE);
        if (!strstr(err.text, cases[i].message) || err.column != cases[i].column) {
            fail_msg("%s: column %u: %s", cases[i].text, err.column, err.text);
        }
        err = (struct error){0};
        assert_int_equal(mount_parse(cases[i].text, NULL, &m, &err),
                         cases[i].without_values ? -1 : 0);
        run_mount_release(&m);
    }
}

static void test_mount__targets_and_ids(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *workdir;
        const char *target; /* NULL: none; "!": an error */
        const char *id;
    } cases[] = {
        {"target=/x//y/", "/w", "/x/y", ""},
        {"target=rel", "/w", "/w/rel", ""},
        {"source=a", "/w", "/w", ""},
        {"source=a", "/", "!", ""},
        {"target=/..", "/w", "!", ""},
        {"type=cache,target=/c/./d/", "/w", "/c/d", "/c/d"},
        {"type=secret,id=a/b", "/w", "/run/secrets/b", "a/b"},
        {"type=secret,target=/etc/x", "/w", "/etc/x", "x"},
        {"type=secret,id=a,env=A", "/w", NULL, "a"},
        {"type=secret,id=a,env=A,target=/s", "/w", "/s", "a"},
        {"type=ssh", "/w", "/run/buildkit/ssh_agent.3", "default"},
        {"type=ssh,id=k,target=/s", "/w", "/s", "k"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct run_mount m = {0};
        assert_int_equal(mount_parse(cases[i].text, &expander, &m, &err), 0);
        AUTO(mem_freep) char *target = NULL;
        int result = mount_target(&m, cases[i].workdir, 3, &target, &err);
        bool fails = cases[i].target && cases[i].target[0] == '!';
        assert_int_equal(result, fails ? -1 : 0);
        if (cases[i].target && !fails) {
            assert_string_equal(target, cases[i].target);
        } else {
            assert_null(target);
        }
        assert_string_equal(mount_id(&m), cases[i].id);
        run_mount_release(&m);
    }
}

static void test_duration__as_go_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"30s", 30000000000},
        {"1m30s", 90000000000},
        {"1.5h", 5400000000000},
        {"500ms", 500000000},
        {"1us", 1000},
        {"1\xC2\xB5s", 1000},
        {"-2s", -2000000000},
        {"+1s", 1000000000},
        {".5s", 500000000},
        {"1.s", 1000000000},
        {"1h1m1s1ms1us1ns", 3661001001001},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct error err = {0};
        int64_t ns = -1;
        if (duration_parse(good[i].text, &ns, &err) != 0 || ns != good[i].ns) {
            fail_msg("%s: %lld %s", good[i].text, (long long)ns, err.text);
        }
    }
    static const char *const bad[] = {"",    "5",   "s",           "1d",
                                      "1 s", "ten", ".s",          "1s2",
                                      "-",   "1.5", "9999999999h", "99999999999999999999s"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        int64_t ns = 0;
        if (duration_parse(bad[i], &ns, &err) != -1) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_int_equal(err.code, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mount__options_are_read),
        cmocka_unit_test(test_mount__what_is_wrong_is_named),
        cmocka_unit_test(test_mount__targets_and_ids),
        cmocka_unit_test(test_duration__as_go_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
