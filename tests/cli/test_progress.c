#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <pty.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/progress.h"

static void start(struct event_sink *sink, uint64_t step, const char *name)
{
    event_post(sink, &(struct event){.type = EVENT_STEP_START, .step = step, .name = name});
}

static void output(struct event_sink *sink, uint64_t step, const char *data)
{
    event_post(sink,
               &(struct event){
                   .type = EVENT_STEP_OUTPUT, .step = step, .data = data, .len = strlen(data)});
}

static void end(struct event_sink *sink, uint64_t step, enum event_status status, const char *text)
{
    event_post(sink, &(struct event){
                         .type = EVENT_STEP_END, .step = step, .status = status, .text = text});
}

static void build(struct event_sink *sink)
{
    start(sink, 1, "[1/3] FROM base");
    end(sink, 1, STATUS_CACHED, NULL);
    start(sink, 2, "[2/3] RUN make \\\n\t all\n");
    output(sink, 2, "one\ntw");
    output(sink, 2, "o\n10%\r50%\r100%\r\nlast \x1b[31mred\x1b[0m");
    end(sink, 2, STATUS_DONE, "4.0 kB");
    start(sink, 3, "[3/3] RUN false");
    end(sink, 3, STATUS_FAILED, "exit status 1");
    event_post(sink, &(struct event){.type = EVENT_TRANSFER,
                                     .name = "sha256:aa",
                                     .direction = TRANSFER_UP,
                                     .status = STATUS_DONE,
                                     .current = 1500,
                                     .total = 1500});
    event_warning(sink, "Dockerfile", 3, "careful");
    event_note(sink, "a note");
}

/* What MODE writes of build() into a file. */
static void written(enum progress_mode mode, struct buf *out)
{
    struct error err = {0};
    int fd = memfd_create("progress", MFD_CLOEXEC);
    struct progress *p = progress_new(mode, fd);
    build(progress_sink(p));
    progress_freep(&p);
    event_note(NULL, "no sink is fine");
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(file_read_fd(fd, "progress", 100000, out, &err), 0);
    close(fd);
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static void test_progress__plain_is_one_line_for_everything(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "^#1 \\[1/3\\] FROM base$",
        "^#1 CACHED$",
        "^#2 \\[2/3\\] RUN make \\\\ all$",
        "^#2 [0-9]+\\.[0-9]{3} one$",
        "^#2 [0-9.]+ two$",
        "^#2 [0-9.]+ 100%$",
        "^#2 [0-9.]+ last .*red",
        "^#2 DONE [0-9]+\\.[0-9]s 4.0 kB$",
        "^#3 ERROR: exit status 1$",
        "^pushed sha256:aa 1.5 kB",
        "^WARNING: Dockerfile:3: careful$",
        "^a note$",
    };
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    written(PROGRESS_AUTO, &out); /* a file is no terminal */
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        assert_true(matches(buf_text(&out), patterns[i]));
    }
    assert_false(matches(buf_text(&out), "50%"));
}

static void test_progress__a_step_s_number_can_come_again(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    int fd = memfd_create("progress", MFD_CLOEXEC);
    struct progress *p = progress_new(PROGRESS_PLAIN, fd);
    struct event_sink *sink = progress_sink(p);
    start(sink, 1, "first");
    end(sink, 1, STATUS_DONE, NULL);
    usleep(150000);
    start(sink, 1, "second");
    end(sink, 1, STATUS_DONE, NULL);
    end(sink, 7, STATUS_DONE, "never started");
    progress_freep(&p);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(file_read_fd(fd, "progress", 100000, &out, &err), 0);
    close(fd);
    assert_string_equal(buf_text(&out), "#1 first\n#1 DONE 0.0s\n#1 second\n#1 DONE 0.0s\n");
}

static void test_progress__quiet_is_nothing(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    written(PROGRESS_QUIET, &out);
    assert_int_equal(out.len, 0);
}

static void test_progress__json_is_an_object_a_line(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    written(PROGRESS_JSON, &out);
    size_t lines = 0;
    size_t outputs = 0;
    for (char *line = out.data, *feed; *line; line = feed + 1, lines++) {
        struct error err = {0};
        json_t *object = NULL;
        feed = strchr(line, '\n');
        assert_non_null(feed);
        assert_int_equal(
            json_parse(line, (size_t)(feed - line), 10000, "line", ERR_USAGE, &object, &err), 0);
        assert_int_equal(strlen(json_get_string(object, "time")), 24);
        const char *type = json_get_string(object, "type");
        outputs += strcmp(type, "step_output") == 0;
        if (strcmp(type, "transfer") == 0) {
            assert_string_equal(json_get_string(object, "direction"), "up");
            assert_string_equal(json_get_string(object, "status"), "done");
        }
        json_decref(object);
    }
    assert_int_equal(outputs, 4);
    assert_int_equal(lines, 4 + 6 + 3);
}

struct reading {
    int fd;
    struct buf text;
};

static void *read_terminal(void *arg)
{
    struct reading *r = arg;
    char data[4096];
    ssize_t got = 0;
    while ((got = read(r->fd, data, sizeof data)) > 0) {
        buf_append(&r->text, data, (size_t)got);
    }
    return NULL;
}

static void test_progress__on_a_terminal_only_our_own_sequences_appear(void **state)
{
    (void)state;
    static const char *const modes[] = {"", "1"};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct winsize size = {.ws_row = 10, .ws_col = 40};
        struct reading r = {.fd = -1, .text = BUF_INIT(0)};
        pthread_t reader;
        int slave = -1;
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", modes[i], 1);
        assert_int_equal(openpty(&r.fd, &slave, NULL, NULL, &size), 0);
        pthread_create(&reader, NULL, read_terminal, &r);
        struct progress *p = progress_new(PROGRESS_TTY, slave);
        struct event_sink *sink = progress_sink(p);
        build(sink);
        start(sink, 4, "[4/4] RUN a command that is much longer than the window is wide, and runs");
        output(sink, 4, "evil \x1b[2Jtext \x1b]0;title\x07 end\n");
        event_note(sink, "evil note \x1b[2J");
        usleep(250000);
        size.ws_col = 20;
        ioctl(slave, TIOCSWINSZ, &size);
        usleep(250000);
        progress_freep(&p);
        close(slave);
        pthread_join(reader, NULL);
        close(r.fd);
        const char *text = buf_text(&r.text);
        assert_non_null(strstr(text, "evil text  end"));
        assert_null(strstr(text, "\x1b[2J"));
        assert_null(strstr(text, "\x1b]0"));
        assert_non_null(strstr(text, "\x1b[J"));
        assert_int_equal(strstr(text, "\x1b[32m") != NULL, i == 0);
        /* Taken away at the end, and never from the window's first place downwards. */
        assert_string_equal(text + r.text.len - 13, "\x1b[2K\x1b[B\x1b[J\x1b[A");
        assert_null(strstr(text, "A\x1b[J"));
        buf_release(&r.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress__plain_is_one_line_for_everything),
        cmocka_unit_test(test_progress__a_step_s_number_can_come_again),
        cmocka_unit_test(test_progress__quiet_is_nothing),
        cmocka_unit_test(test_progress__json_is_an_object_a_line),
        cmocka_unit_test(test_progress__on_a_terminal_only_our_own_sequences_appear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
