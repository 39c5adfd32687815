#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/dockerfile.h"

static struct dockerfile *parse(const char *text)
{
    struct error err = {0};
    struct dockerfile *df = NULL;
    if (dockerfile_parse(text, strlen(text), "Dockerfile", &df, &err) != 0) {
        fail_msg("%s: %u:%u: %s", text, err.line, err.column, err.text);
    }
    return df;
}

/* An instruction in one line, to compare: words in (), pairs in {}, flags with --. */
static void describe(const struct instruction *in, struct buf *out)
{
    buf_printf(out, "%s", instruction_name(in->type));
    for (size_t i = 0; i < in->flags_len; i++) {
        buf_printf(out, " --%s=%s", in->flags[i].name,
                   in->flags[i].value ? in->flags[i].value : "?");
    }
    buf_puts(out, in->exec_form ? " exec" : "");
    for (size_t i = 0; i < in->args.len; i++) {
        buf_printf(out, " (%s)", in->args.items[i]);
    }
    for (size_t i = 0; i < in->pairs_len; i++) {
        const struct pair *pair = &in->pairs[i];
        buf_printf(out, pair->value ? " {%s=%s}" : " {%s}", pair->key, pair->value);
    }
    for (size_t i = 0; i < in->heredocs_len; i++) {
        const struct heredoc *doc = &in->heredocs[i];
        buf_printf(out, " <<%s%s%s:%s", doc->chomp ? "-" : "", doc->expand ? "" : "'", doc->name,
                   doc->content);
    }
    if (in->stage_name) {
        buf_printf(out, " as %s", in->stage_name);
    }
    if (in->type == INSTRUCTION_ONBUILD) {
        buf_printf(out, " [%s]", in->trigger_text);
    }
    if (in->trigger) {
        buf_puts(out, " -> ");
        describe(in->trigger, out);
    }
}

struct form_case {
    const char *text; /* what stands behind "FROM x\n" */
    const char *expected;
};

static void check_forms(const struct form_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(mem_freep) char *text = mem_printf("FROM x\n%s", cases[i].text);
        AUTO(dockerfile_freep) struct dockerfile *df = parse(text);
        AUTO(buf_release) struct buf have = BUF_INIT(0);
        for (size_t n = 1; n < df->len; n++) {
            buf_puts(&have, n > 1 ? "; " : "");
            describe(&df->items[n], &have);
        }
        assert_string_equal(buf_text(&have), cases[i].expected);
    }
}

static void test_dockerfile__forms(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"RUN echo a  b ", "RUN (echo a  b)"},
        {"run [\"a\", \"b c\"]", "RUN exec (a) (b c)"},
        {"RUN [a]", "RUN ([a])"},
        {"RUN [ \"a\" ] && b", "RUN ([ \"a\" ] && b)"},
        {"RUN", "RUN"},
        {"CMD []", "CMD exec"},
        {"RUN --mount=type=cache,target=/c --mount=target=/x --network=none make",
         "RUN --mount=type=cache,target=/c --mount=target=/x --network=none (make)"},
        {"RUN --network=\"none\" -- --x", "RUN --network=none (--x)"},
        {"COPY --link --chown=1:2 a b c/", "COPY --link=true --chown=1:2 (a) (b) (c/)"},
        {"COPY --link=FALSE [\"a b\", \"c\"]", "COPY --link=false exec (a b) (c)"},
        {"COPY --exclude=a --exclude=b\\ c . .", "COPY --exclude=a --exclude=b c (.) (.)"},
        {"ADD --checksum=sha256:00 http://h/f /", "ADD --checksum=sha256:00 (http://h/f) (/)"},
        {"ENV a=1 b=\"x y\" c=d\\ e 'f'=g", "ENV {a=1} {b=\"x y\"} {c=d\\ e} {'f'=g}"},
        {"ENV key some  value = x", "ENV {key=some  value = x}"},
        {"ENV a= b=''", "ENV {a=} {b=''}"},
        {"LABEL \"a b\"=c", "LABEL {\"a b\"=c}"},
        {"ARG a b=c d=\"e f\"", "ARG {a} {b=c} {d=\"e f\"}"},
        {"EXPOSE 80 443/tcp", "EXPOSE (80) (443/tcp)"},
        {"VOLUME /a /b", "VOLUME (/a) (/b)"},
        {"VOLUME [\"/a\", \" /b \"]", "VOLUME exec (/a) (/b)"},
        {"WORKDIR /a b", "WORKDIR (/a b)"},
        {"SHELL [\"/bin/bash\",\"-c\"]", "SHELL exec (/bin/bash) (-c)"},
        {"HEALTHCHECK none", "HEALTHCHECK"},
        {"HEALTHCHECK --retries=3 CMD curl  x", "HEALTHCHECK --retries=3 (curl  x)"},
        {"HEALTHCHECK CMD [\"a\",\"b\"]", "HEALTHCHECK exec (a) (b)"},
        {"FROM --platform=$P img:1 As Two.x-y_", "FROM --platform=$P (img:1) as two.x-y_"},
        {"ONBUILD  RUN a b", "ONBUILD (RUN) [RUN a b] -> RUN (a b)"},
        {"onbuild copy --from=y a b",
         "ONBUILD (copy) [copy --from=y a b] -> COPY --from=y (a) (b)"},
        /* What is wrong with a trigger is for the one who triggers it. */
        {"ONBUILD NOPE x", "ONBUILD (NOPE) [NOPE x]"},
        {"ONBUILD COPY --bogus a", "ONBUILD (COPY) [COPY --bogus a]"},
        {"ARG --ignored a", "ARG --ignored=? {a}"},
    };
    check_forms(cases, ARRAY_LEN(cases));
}

static void test_dockerfile__lines_are_joined(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"RUN a \\\n  b", "RUN (a   b)"},
        {"RUN a \\  \n b", "RUN (a  b)"},
        {"RUN a \\\t\n# comment\n\n  # more\n b", "RUN (a  b)"},
        {"RUN a \\\r\n b\r\nENV x=1\r\n", "RUN (a  b); ENV {x=1}"},
        {"RUN a \\\\\nENV x=1", "RUN (a \\\\); ENV {x=1}"},
        {"RUN a\\\n", "RUN (a)"},
        {"\\\nRUN a", "RUN (a)"},
        {"RUN \\\n[\"a\", \\\n\"b\"]", "RUN exec (a) (b)"},
        {"  \t RUN a # no comment", "RUN (a # no comment)"},
        {"RUN a\n   # comment\nRUN b", "RUN (a); RUN (b)"},
    };
    check_forms(cases, ARRAY_LEN(cases));
    AUTO(dockerfile_freep)
    struct dockerfile *df = parse("FROM x\nRUN a \\\n\n  b\n\nRUN <<E\n1\nE\n");
    assert_int_equal(df->items[1].line, 2);
    assert_int_equal(df->items[1].end_line, 4);
    assert_true(df->items[1].empty_continuation);
    assert_string_equal(df->items[1].original, "RUN a   b");
    assert_int_equal(df->items[2].line, 6);
    assert_int_equal(df->items[2].end_line, 8);
    assert_false(df->items[2].empty_continuation);
}

static void test_dockerfile__heredocs(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"RUN <<EOF\na\n\nEOF\nENV x=1", "RUN (<<EOF) <<EOF:a\n\n; ENV {x=1}"},
        {"RUN <<-EOF\n\ta\n\t\tb\n\t\tEOF", "RUN (<<-EOF) <<-EOF:a\nb\n"},
        {"RUN cat <<'A' <<\"B\" >x\n1\nA\n2\nB\n", "RUN (cat <<'A' <<\"B\" >x) <<'A:1\n <<'B:2\n"},
        {"COPY <<a.txt <<b /d/\n1\na.txt\nb", "COPY (<<a.txt) (<<b) (/d/) <<a.txt:1\n <<b:"},
        {"COPY <<EOF /d\nEOF x\n EOF\nEOF", "COPY (<<EOF) (/d) <<EOF:EOF x\n EOF\n"},
        {"RUN [\"cat\", \"<<EOF\"]", "RUN exec (cat) (<<EOF)"},
        {"RUN echo '<<EOF'", "RUN (echo '<<EOF')"},
        {"RUN echo $((1<<3))", "RUN (echo $((1<<3)))"},
        {"RUN cat <<<word", "RUN (cat <<<word)"},
        {"RUN cat << EOF\nx\nEOF", "RUN (cat << EOF) <<EOF:x\n"},
        {"RUN <<\t 'E F'  >x\nx\nE F", "RUN (<<\t 'E F'  >x) <<'E F:x\n"},
        {"RUN cat <<- EOF", "RUN (cat <<- EOF)"},
        {"COPY [\"<<EOF\", \"/x\"]", "COPY exec (<<EOF) (/x) <<EOF:"},
        {"COPY <<EOF it's /x/", "COPY (<<EOF) (it's) (/x/) <<EOF:"},
        {"ENV x=<<EOF", "ENV {x=<<EOF}"},
        {"RUN it's <<EOF", "RUN (it's <<EOF)"},
        {"RUN cat <<EOF>${x:-y}", "RUN (cat <<EOF>${x:-y})"},
        {"ONBUILD RUN <<EOF\na\nEOF", "ONBUILD (RUN) [RUN <<EOF\na\nEOF] -> RUN (<<EOF) <<EOF:a\n"},
        {"RUN <<EOF\na \\\nEOF", "RUN (<<EOF) <<EOF:a \\\n"},
        {"RUN <<EOF\r\na\r\nEOF\r\n", "RUN (<<EOF) <<EOF:a\r\n"},
    };
    check_forms(cases, ARRAY_LEN(cases));
}

static void test_dockerfile__scripts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *script;
        bool is_file;
    } cases[] = {
        {"a b", "a b", false},
        {"<<-E\n\tx\nE", "x\n", false},
        {"<<E\n#!/bin/awk\nE", "#!/bin/awk\n", true},
        {"cat <<-A <<B\n\t1\n\tA\n2\nB", "cat <<-A <<B\n\t1\nA\n2\nB", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *text = mem_printf("FROM x\nRUN %s\n", cases[i].text);
        AUTO(dockerfile_freep) struct dockerfile *df = parse(text);
        bool is_file = !cases[i].is_file;
        AUTO(mem_freep) char *script = instruction_script(&df->items[1], &is_file);
        assert_string_equal(script, cases[i].script);
        assert_int_equal(is_file, cases[i].is_file);
    }
}

static void test_dockerfile__directives(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char escape;
        const char *syntax;
        const char *check;
    } cases[] = {
        {"FROM x", '\\', NULL, NULL},
        {"# escape=`\nFROM x", '`', NULL, NULL},
        {"\xEF\xBB\xBF#escape = `\r\nFROM x", '`', NULL, NULL},
        {"# Syntax=docker/dockerfile:1 \n#CHECK=skip=A;error=true\nFROM x", '\\',
         "docker/dockerfile:1", "skip=A;error=true"},
        {"# comment\n# escape=`\nFROM x", '\\', NULL, NULL},
        {"\n# escape=`\nFROM x", '\\', NULL, NULL},
        {"# unknown=1\n# escape=`\nFROM x", '\\', NULL, NULL},
        {"FROM x\n# escape=`\nRUN a", '\\', NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(dockerfile_freep) struct dockerfile *df = parse(cases[i].text);
        assert_int_equal(df->escape, cases[i].escape);
        assert_true(!df->syntax.value == !cases[i].syntax);
        assert_true(!df->check.value == !cases[i].check);
        if (cases[i].syntax) {
            assert_string_equal(df->syntax.value, cases[i].syntax);
            assert_string_equal(df->check.value, cases[i].check);
            assert_int_equal(df->check.line, 2);
        }
    }
    AUTO(dockerfile_freep)
    struct dockerfile *df = parse("# escape=`\nFROM x\nRUN a `\n c:\\\nENV a=`\"");
    assert_string_equal(df->items[1].args.items[0], "a  c:\\");
    assert_string_equal(df->items[2].pairs[0].value, "`\"");
}

static void test_dockerfile__health(void **state)
{
    (void)state;
    AUTO(dockerfile_freep)
    struct dockerfile *df =
        parse("FROM x\nHEALTHCHECK --interval=1m --timeout=2s --start-period=0s "
              "--start-interval=500ms --retries=4 CMD true\nHEALTHCHECK NONE");
    const struct healthcheck *h = &df->items[1].health;
    assert_true(h->shell);
    assert_false(h->none);
    assert_int_equal(h->interval_ns, 60000000000);
    assert_int_equal(h->timeout_ns, 2000000000);
    assert_int_equal(h->start_period_ns, 0);
    assert_int_equal(h->start_interval_ns, 500000000);
    assert_int_equal(h->retries, 4);
    assert_true(df->items[2].health.none);
}

static void test_dockerfile__errors_have_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
        unsigned line, column, width;
    } cases[] = {
        {"", "no instructions", 0, 0, 0},
        {"# only\n", "no instructions", 0, 0, 0},
        {"ARG a\n", "no FROM", 0, 0, 0},
        {"ARG a\n  RUN x\nFROM y", "RUN before the first FROM", 2, 3, 3},
        {"# escape=`\n# escape=`\nFROM x", "a second 'escape'", 2, 3, 6},
        {"# escape=ab\nFROM x", "can be \\ or `", 1, 10, 2},
        {"FROM x\nCOPPY a b", "did you mean COPY?", 2, 1, 5},
        {"FROM", "FROM needs an image", 1, 1, 4},
        {"FROM x y", "FROM takes", 1, 6, 3},
        {"FROM x AS 1a", "invalid name of a stage '1a'", 1, 11, 2},
        {"FROM x\nCOPY --form=build a b", "COPY --form=build: no flag --form, did you mean --from?",
         2, 6, 12},
        {"FROM x\nCOPY \\\n  --from=a --chmod=1 \\\n --from=b a b", "--from is given twice", 4, 2,
         8},
        {"FROM x\nCOPY --link=maybe a b", "true or false", 2, 6, 12},
        {"FROM x\nCOPY --from a b", "--from needs a value", 2, 6, 6},
        {"FROM x\nCOPY a", "the destination is missing", 2, 6, 1},
        {"FROM x\nCOPY a <<EOF\nx\nEOF", "cannot be the destination", 2, 8, 5},
        {"FROM x\nWORKDIR --x=1 /", "WORKDIR --x=1: no flag --x", 2, 9, 5},
        {"FROM x\nRUN --network=nope x", "default, none or host", 2, 5, 14},
        {"FROM x\nRUN --security=insecure x", "always isolated", 2, 5, 19},
        {"FROM x\nRUN --mount=type=bind,tagret=/x y", "did you mean target?", 2, 23, 9},
        {"FROM x\nENV", "ENV needs at least one argument", 2, 1, 3},
        {"FROM x\nENV a", "a name needs a value", 2, 5, 1},
        {"FROM x\nENV a=1 bc", "no '=' in 'bc'", 2, 9, 2},
        {"FROM x\nENV =1", "no name before", 2, 5, 2},
        {"FROM x\nLABEL a=1 =2", "no name before", 2, 11, 2},
        {"FROM x\nARG", "ARG needs", 2, 1, 3},
        {"FROM x\nARG =x", "no name before", 2, 5, 2},
        {"FROM x\nSHELL bash", "must be a JSON array", 2, 7, 4},
        {"FROM x\nSHELL []", "SHELL needs", 2, 7, 2},
        {"FROM x\nVOLUME [\"\"]", "is empty", 2, 8, 4},
        {"FROM x\nUSER", "USER needs", 2, 1, 4},
        {"FROM x\nCMD [\"a\", 1]", "only strings; item 2", 2, 5, 8},
        {"FROM x\nCMD [\"\\u0000\"]", "zero byte", 2, 5, 10},
        {"FROM x\nHEALTHCHECK", "needs CMD", 2, 1, 11},
        {"FROM x\nHEALTHCHECK CMD", "command is missing", 2, 13, 3},
        {"FROM x\nHEALTHCHECK NONE x", "takes no arguments", 2, 13, 6},
        {"FROM x\nHEALTHCHECK FOO x", "HEALTHCHECK FOO", 2, 13, 3},
        {"FROM x\nHEALTHCHECK --interval=1us CMD a", "less than 1ms", 2, 13, 14},
        {"FROM x\nHEALTHCHECK --retries=-1 CMD a", "from 0 on", 2, 13, 12},
        {"FROM x\nONBUILD", "ONBUILD needs", 2, 1, 7},
        {"FROM x\nONBUILD ONBUILD RUN x", "cannot be a trigger", 2, 9, 7},
        {"FROM x\nONBUILD from y", "cannot be a trigger", 2, 9, 4},
        {"FROM x\nONBUILD ENV a=1 b", "no '=' in 'b'", 2, 17, 1},
        {"FROM x\nRUN cat <<A <<B\nA\n", "'<<B' is not ended", 2, 13, 3},
        {"FROM x\nRUN \\\n <<-E\n\tx\n", "'<<-E' is not ended", 3, 2, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct dockerfile *df = NULL;
        if (dockerfile_parse(cases[i].text, strlen(cases[i].text), "D", &df, &err) != -1) {
            fail_msg("%s was taken", cases[i].text);
        }
        assert_null(df);
        assert_int_equal(err.code, ERR_USAGE);
        if (!strstr(err.text, cases[i].message) || err.line != cases[i].line ||
            err.column != cases[i].column || err.width != cases[i].width) {
            fail_msg("%s: %u:%u+%u: %s", cases[i].text, err.line, err.column, err.width, err.text);
        }
    }
}

static void test_dockerfile__lines_are_as_long_as_buildkit_reads(void **state)
{
    (void)state;
    for (size_t len = LIMIT_LINE_BYTES - 1; len <= LIMIT_LINE_BYTES + 1; len++) {
        struct error err = {0};
        AUTO(dockerfile_freep) struct dockerfile *df = NULL;
        AUTO(mem_freep) char *line = mem_alloc(len + 1);
        memset(line, 'x', len);
        memcpy(line, "LABEL a=", 8);
        line[len] = '\0';
        AUTO(mem_freep) char *text = mem_printf("FROM x\n%s\nUSER y", line);
        int result = dockerfile_parse(text, strlen(text), "D", &df, &err);
        assert_int_equal(result, len <= LIMIT_LINE_BYTES ? 0 : -1);
        if (result != 0) {
            assert_int_equal(err.line, 2);
            assert_non_null(strstr(err.text, "a line of 65536 bytes"));
        }
    }
}

static void test_dockerfile__triggers_from_images(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    assert_int_equal(dockerfile_parse_trigger("RUN <<E\nx\nE", "Dockerfile", 7, &df, &err), 0);
    assert_int_equal(df->len, 1);
    assert_int_equal(df->items[0].line, 7);
    assert_string_equal(df->items[0].heredocs[0].content, "x\n");
    static const char *const bad[] = {"", "NOPE", "FROM x", "RUN a\nRUN b", "COPY --bogus a b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct dockerfile *none = NULL;
        err = (struct error){0};
        assert_int_equal(dockerfile_parse_trigger(bad[i], "Dockerfile", 7, &none, &err), -1);
        assert_int_equal(err.line, 7);
    }
}

static void test_dockerfile__words_are_found_again(void **state)
{
    (void)state;
    AUTO(dockerfile_freep) struct dockerfile *df = parse("FROM x\nCOPY a \\\n  src /d\n");
    struct error err = {0};
    dockerfile_locate_word(&err, "Dockerfile", df->text, &df->items[1], "src");
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 3);
    assert_int_equal(err.width, 3);
    err = (struct error){0};
    dockerfile_locate_word(&err, "Dockerfile", df->text, &df->items[1], "absent");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 1);
    assert_int_equal(err.width, 4);
}

/* The smallest unit of work must not grow with the input. */
static void test_dockerfile__hostile_input_is_read_in_linear_time(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *part;
    } cases[] = {
        {"FROM x\nRUN ", "["},
        {"FROM x\nRUN ", "\\"},
        {"FROM x\nENV a=", "\\"},
        {"FROM x\nRUN ", "\\\n"},
        {"FROM x\nCOPY ", "<<a "},
        {"FROM x\nRUN ", "${x:-"},
        {"FROM x\nRUN ", "'\""},
        {"FROM x\n", "RUN\n"},
        {"FROM x\nENV ", "a=b "},
        {"FROM x\nCOPY ", "--link "},
        {"FROM x\nRUN ", "--mount=target=/x "},
        {"FROM x\nCMD ", "[\"a\","},
        {"FROM x\nRUN <<E\n", "E \n"},
        {"", "#\n"},
        {"FROM x\nONBUILD ", "RUN "},
        {"", "FROM x\n"},
        {"FROM x\nRUN \\\n", "#\n"},
        {"FROM x\nRUN <<a\n", "a\nRUN <<a\n"},
    };
    time_t start = time(NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        buf_puts(&text, cases[i].head);
        buf_reserve(&text, LIMIT_DOCKERFILE_BYTES);
        size_t part_len = strlen(cases[i].part);
        bool goes_on = !strchr(cases[i].part, '\n');
        for (size_t line = 0; text.len + part_len + 2 < LIMIT_DOCKERFILE_BYTES;) {
            buf_append(&text, cases[i].part, part_len);
            line += part_len;
            if (goes_on && line + part_len + 40 > LIMIT_LINE_BYTES) {
                buf_puts(&text, "\\\n");
                line = 0;
            }
        }
        struct error err = {0};
        AUTO(dockerfile_freep) struct dockerfile *df = NULL;
        int result = dockerfile_parse(text.data, text.len, "Dockerfile", &df, &err);
        assert_true(result == 0 || err.code == ERR_USAGE);
    }
    assert_true(time(NULL) - start < 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dockerfile__forms),
        cmocka_unit_test(test_dockerfile__lines_are_joined),
        cmocka_unit_test(test_dockerfile__heredocs),
        cmocka_unit_test(test_dockerfile__scripts),
        cmocka_unit_test(test_dockerfile__directives),
        cmocka_unit_test(test_dockerfile__health),
        cmocka_unit_test(test_dockerfile__errors_have_a_place),
        cmocka_unit_test(test_dockerfile__lines_are_as_long_as_buildkit_reads),
        cmocka_unit_test(test_dockerfile__triggers_from_images),
        cmocka_unit_test(test_dockerfile__words_are_found_again),
        cmocka_unit_test(test_dockerfile__hostile_input_is_read_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
