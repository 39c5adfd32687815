#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "base/cancel.h"
#include "base/http.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/thread.h"
#include "tests/base/misbehaving.h"

static struct misbehaving server;
static struct http_client *client;

#define SAYS(FAILURE, WORDS)                                                                       \
    do {                                                                                           \
        if (!strstr((FAILURE).text, (WORDS))) {                                                    \
            fail_msg("'%s' does not say '%s'", (FAILURE).text, (WORDS));                           \
        }                                                                                          \
    } while (0)

static int start(void **state)
{
    (void)state;
    struct error err = {0};
    struct http_options options = {.retries = 4, .retry_delay_ms = 20, .timeout_ms = 1500};
    return misbehaving_start(&server) && http_client_open(&options, &client, &err) == 0 ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_client_freep(&client);
    misbehaving_stop(&server);
    return 0;
}

static char *url_of(const char *path)
{
    return mem_printf("http://%s%s", server.host, path);
}

static double now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* GETs PATH, which must be answered. */
static void get(const char *path, struct http_response *response)
{
    AUTO(mem_freep) char *url = url_of(path);
    struct http_request request = {.url = url};
    struct error err = {0};
    if (http_perform(client, &request, response, &err) != 0) {
        fail_msg("%s: %s", path, err.text);
    }
}

/* GETs PATH, which must fail. */
static struct error get_failure(const char *path, size_t max_body)
{
    AUTO(mem_freep) char *url = url_of(path);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.url = url, .max_body = max_body};
    struct error err = {0};
    if (http_perform(client, &request, &response, &err) == 0 &&
        http_check(&request, &response, &err) == 0) {
        fail_msg("%s did not fail", path);
    }
    assert_null(strchr(err.text, '\n'));
    return err;
}

static int times_asked(const char *path)
{
    AUTO(http_response_release) struct http_response response = {0};
    AUTO(mem_freep) char *count = mem_printf("/count%s", path);
    get(count, &response);
    return (int)strtol(buf_text(&response.body), NULL, 10);
}

static void test_http__transient_failures_are_tried_again(void **state)
{
    (void)state;
    static const char *const paths[] = {"/flaky/503/3/a", "/flaky/500/1/a", "/flaky/429/2/a",
                                        "/flaky/408/1/a", "/reset/3/a"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO(http_response_release) struct http_response response = {0};
        get(paths[i], &response);
        assert_int_equal(response.status, 200);
        assert_string_equal(buf_text(&response.body), "fine at last");
    }
    assert_int_equal(times_asked("/flaky/503/3/a"), 4);
    assert_int_equal(times_asked("/reset/3/a"), 4);
}

static void test_http__retries_end(void **state)
{
    (void)state;
    struct error err = get_failure("/flaky/503/99/b", 0);
    assert_int_equal(err.code, ERR_REMOTE);
    assert_int_equal(err.http_status, 503);
    SAYS(err, "/flaky/503/99/b: HTTP 503: TOOMANYREQUESTS: not now");
    assert_int_equal(times_asked("/flaky/503/99/b"), 5);
    err = get_failure("/reset/99/b", 0);
    SAYS(err, "(5 attempts)");
    /* A refusal is an answer: once is enough. */
    get_failure("/status/404", 0);
    get_failure("/status/501", 0);
    assert_int_equal(times_asked("/status/404"), 1);
    assert_int_equal(times_asked("/status/501"), 1);
}

static void test_http__retry_after_is_kept(void **state)
{
    (void)state;
    AUTO(http_response_release) struct http_response response = {0};
    double before = now();
    get("/flaky/429/1/c?after=1", &response);
    assert_int_equal(response.status, 200);
    assert_true(now() - before >= 1.0);
    /* An hour is more patience than a build has. */
    before = now();
    struct error err = get_failure("/flaky/429/1/d?after=3600", 0);
    assert_int_equal(err.http_status, 429);
    assert_true(now() - before < 1.0);
}

static void test_http__nobody_listens(void **state)
{
    (void)state;
    struct http_request request = {.url = "http://127.0.0.1:1/x", .retries = HTTP_NO_RETRIES};
    struct http_response response = {0};
    struct error err = {0};
    assert_int_equal(http_perform(client, &request, &response, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
    SAYS(err, "GET http://127.0.0.1:1/x: ");
    SAYS(err, "onnect");
}

static void test_http__limits_hold(void **state)
{
    (void)state;
    struct error err = get_failure("/big/100000000", 1000000);
    SAYS(err, "the answer is longer than 1000000 bytes");
    assert_int_equal(times_asked("/big/100000000"), 1);
    err = get_failure("/headers/300", 0);
    assert_int_equal(err.code, ERR_REMOTE);
    AUTO(http_response_release) struct http_response response = {0};
    get("/headers/50", &response);
    assert_non_null(http_header(&response, "x-49"));
}

static void test_http__standstill_is_noticed(void **state)
{
    (void)state;
    AUTO(mem_freep) char *url = url_of("/stall/20");
    struct http_request request = {.url = url, .retries = HTTP_NO_RETRIES, .timeout_ms = 300};
    struct http_response response = {0};
    struct error err = {0};
    double before = now();
    assert_int_equal(http_perform(client, &request, &response, &err), -1);
    SAYS(err, "no progress for 0.3 seconds");
    assert_true(now() - before < 3);
}

static void test_http__a_loop_ends(void **state)
{
    (void)state;
    struct error err = get_failure("/loop/0", 0);
    SAYS(err, "/loop/0: more than 10 redirects");
}

/* What /echo saw. */
static json_t *echoed(const struct http_response *response)
{
    json_t *root = NULL;
    struct error err = {0};
    assert_int_equal(json_parse(buf_text(&response->body), response->body.len, MIB, "echo",
                                ERR_REMOTE, &root, &err),
                     0);
    return root;
}

static void test_http__authorization_stays_at_its_host(void **state)
{
    (void)state;
    const char *port = strchr(server.host, ':');
    /* localhost and 127.0.0.1 are two hosts. */
    AUTO(mem_freep)
    char *same = mem_printf("http://%s/to/307?url=http://%s/echo", server.host, server.host);
    AUTO(mem_freep)
    char *other = mem_printf("http://%s/to/307?url=http://localhost%s/echo", server.host, port);
    AUTO(strlist_release) struct strlist headers = {0};
    strlist_add(&headers, "Cookie: secret=1");
    strlist_add(&headers, "Accept: text/x");
    for (int i = 0; i < 2; i++) {
        struct http_request request = {
            .url = i ? other : same, .authorization = "Bearer sesame", .headers = &headers};
        AUTO(http_response_release) struct http_response response = {0};
        struct error err = {0};
        assert_int_equal(http_perform(client, &request, &response, &err), 0);
        AUTO(json_freep) json_t *root = echoed(&response);
        const json_t *seen = json_object_get(root, "headers");
        assert_int_equal(json_get_string(seen, "authorization") == NULL, i);
        assert_int_equal(json_get_string(seen, "cookie") == NULL, i);
        assert_string_equal(json_get_string(seen, "accept"), "text/x");
    }
}

static void test_http__bodies_are_sent_again(void **state)
{
    (void)state;
    AUTO(fd_closep) int fd = memfd_create("body", MFD_CLOEXEC);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    static const struct {
        const char *path;
        const char *method;
    } cases[] = {
        {"/echo", "PUT"},
        {"/to/307?url=/echo", "PUT"},
        {"/to/308?url=/echo", "PATCH"},
        {"/to/307?url=/to/307?url=/echo", "POST"},
        {"/to/301?url=/echo", "POST"},
        {"/to/302?url=/echo", "POST"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *url = url_of(cases[i].path);
        AUTO(http_response_release) struct http_response response = {0};
        struct http_request request = {.method = cases[i].method,
                                       .url = url,
                                       .body_is_file = true,
                                       .body_fd = fd,
                                       .body_offset = 2,
                                       .body_size = 5};
        struct error err = {0};
        assert_int_equal(http_perform(client, &request, &response, &err), 0);
        AUTO(json_freep) json_t *root = echoed(&response);
        assert_string_equal(json_get_string(root, "method"), cases[i].method);
        assert_string_equal(json_get_string(root, "body"), "23456");
        assert_null(json_get_string(json_object_get(root, "headers"), "expect"));
    }
    /* Through a failure, too. And 303 makes a GET of it. */
    AUTO(mem_freep) char *flaky = url_of("/flaky/500/1/put");
    AUTO(mem_freep) char *see = url_of("/to/303?url=/echo");
    struct http_request request = {.method = "PUT", .url = flaky, .body = "abc", .body_len = 3};
    AUTO(http_response_release) struct http_response response = {0};
    AUTO(http_response_release) struct http_response get_response = {0};
    struct error err = {0};
    assert_int_equal(http_perform(client, &request, &response, &err), 0);
    assert_int_equal(response.status, 200);
    request = (struct http_request){.method = "POST", .url = see, .body = "abc", .body_len = 3};
    assert_int_equal(http_perform(client, &request, &get_response, &err), 0);
    AUTO(json_freep) json_t *root = echoed(&get_response);
    assert_string_equal(json_get_string(root, "method"), "GET");
    assert_string_equal(json_get_string(root, "body"), "");
}

static void test_http__codings_are_taken_off(void **state)
{
    (void)state;
    static const char *const paths[] = {"/coded/gzip", "/coded/gzip/plain",
                                        "/coded/aws-chunked/plain", "/coded/identity/plain"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO(http_response_release) struct http_response response = {0};
        get(paths[i], &response);
        assert_string_equal(buf_text(&response.body), "plain words");
    }
    AUTO(mem_freep) char *url = url_of("/coded/gzip");
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.url = url, .verbatim = true};
    struct error err = {0};
    assert_int_equal(http_perform(client, &request, &response, &err), 0);
    assert_memory_equal(response.body.data, "\x1f\x8b", 2);
}

/* A sink that checks the bytes against the server's pattern. */
struct pattern_sink {
    struct http_sink base;
    size_t at;
    bool wrong;
    int restarts;
};

static int pattern_write(struct http_sink *sink, const void *data, size_t len, struct error *err)
{
    (void)err;
    struct pattern_sink *s = (struct pattern_sink *)sink;
    for (size_t i = 0; i < len; i++, s->at++) {
        s->wrong =
            s->wrong || ((const uint8_t *)data)[i] != (uint8_t)(s->at * 7 + (s->at >> 8) * 13);
    }
    return 0;
}

static int pattern_restart(struct http_sink *sink, struct error *err)
{
    (void)err;
    struct pattern_sink *s = (struct pattern_sink *)sink;
    s->at = 0;
    s->restarts++;
    return 0;
}

static void test_http__broken_downloads_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool immutable;
        int restarts;
    } cases[] = {
        {"/pieces/range", true, 0},
        {"/pieces/etag", false, 0},
        {"/pieces/norange", true, 2},
        {"/pieces/norange", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *url = url_of(cases[i].path);
        AUTO(http_response_release) struct http_response response = {0};
        struct pattern_sink sink = {.base = {pattern_write, pattern_restart}};
        struct http_request request = {
            .url = url, .sink = &sink.base, .immutable = cases[i].immutable};
        struct error err = {0};
        if (http_perform(client, &request, &response, &err) != 0) {
            fail_msg("%s: %s", cases[i].path, err.text);
        }
        assert_int_equal(sink.at, 3000000);
        assert_false(sink.wrong);
        assert_int_equal(sink.restarts, cases[i].restarts);
    }
    AUTO(mem_freep) char *url = url_of("/pieces/liar");
    struct pattern_sink sink = {.base = {pattern_write, pattern_restart}};
    struct http_request request = {.url = url, .sink = &sink.base, .immutable = true};
    struct http_response response = {0};
    struct error err = {0};
    assert_int_equal(http_perform(client, &request, &response, &err), -1);
    /* Another part than asked for is not taken: the download begins anew. */
    SAYS(err, "(5 attempts)");
    assert_true(sink.restarts >= 2);
    assert_false(sink.wrong);
}

static void test_http__servers_words_are_shown_on_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *words;
        enum error_code code;
    } cases[] = {
        {"/status/"
         "400?body={\"errors\":[{\"code\":\"NAME_INVALID\",\"message\":\"bad%5Cnname\",\"detail\":"
         "\"x\"}]}",
         "HTTP 400: NAME_INVALID: bad name (x)", ERR_REMOTE},
        {"/status/400?body={\"__type\":\"com.amazonaws%23ExpiredToken\",\"message\":\"old\"}",
         "HTTP 400: ExpiredToken: old", ERR_REMOTE},
        {"/status/401?body=Not%20Authorized&type=text/plain", "HTTP 401: Not Authorized", ERR_AUTH},
        {"/status/403?body=<html><b>no</b>&type=text/html", "HTTP 403: the answer is an HTML page",
         ERR_AUTH},
        {"/status/404?body=%01%02%03&type=application/octet-stream", "HTTP 404", ERR_REMOTE},
        {"/status/400?body=see%20https://s3/x?X-Amz-Signature=abcdef%26y&type=text/plain",
         "X-Amz-Signature=***", ERR_REMOTE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = get_failure(cases[i].path, 0);
        SAYS(err, cases[i].words);
        assert_int_equal(err.code, cases[i].code);
        assert_null(strstr(err.text, "<b>"));
        assert_null(strstr(err.text, "abcdef"));
    }
}

static void test_http__urls_are_shown_without_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *shown;
    } cases[] = {
        {"https://u:p@w@h/x", "https://h/x"},
        {"https://token@h", "https://h"},
        {"https://h/x?digest=sha256:1&_state=abc", "https://h/x?digest=sha256:1&..."},
        {"https://h/x?X-Amz-Signature=abc", "https://h/x?..."},
        {"https://h/x?service=s&scope=a#frag", "https://h/x?service=s&scope=a"},
        {"https://h/a@b?q", "https://h/a@b?..."},
        {"u:p@h/x", "h/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *shown = http_redact_url(cases[i].url);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void test_http__locations_are_resolved(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        const char *target;
        const char *result;
    } cases[] = {
        {"http://h:1/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1?_state=x%3D",
         "http://h:1/v2/a/blobs/uploads/1?_state=x%3D"},
        {"http://h/a/b?q", "c?d", "http://h/a/c?d"},
        {"http://u:p@h/a", "/b", "http://h/b"},
        {"http://h/a", "//other/b", "http://other/b"},
        {"http://h/a", "https://other/b", "https://other/b"},
        {"http://h/a", "ftp://other/b", NULL},
        {"http://h/a", "file:///etc/passwd", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *result = NULL;
        struct error err = {0};
        int rc = http_resolve_url(cases[i].base, cases[i].target, &result, &err);
        assert_int_equal(rc, cases[i].result ? 0 : -1);
        if (cases[i].result) {
            assert_string_equal(result, cases[i].result);
        }
    }
    assert_true(http_same_origin("https://H/x", "https://h:443/y"));
    assert_false(http_same_origin("https://h/x", "http://h/x"));
    assert_false(http_same_origin("https://h/x", "https://h.evil/x"));
    assert_false(http_same_origin("https://h/x", "https://h:444/x"));
    assert_true(http_is_loopback("localhost"));
    assert_true(http_is_loopback("LOCALHOST:5000"));
    assert_true(http_is_loopback("127.0.0.1:5000/v2/"));
    assert_true(http_is_loopback("[::1]:5000"));
    assert_false(http_is_loopback("localhost.evil"));
    assert_false(http_is_loopback("127.0.0.1.evil"));
    assert_false(http_is_loopback("[::2]"));
}

static void test_http__base64_goes_there_and_back(void **state)
{
    (void)state;
    static const char *const words[] = {"", "f", "fo", "foo", "foob", "user:p\xc3\xa4ss\xff"};
    static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "dXNlcjpww6Rzc/8="};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        AUTO(buf_release) struct buf back = BUF_INIT(0);
        base64_encode(words[i], strlen(words[i]), &text);
        assert_string_equal(buf_text(&text), coded[i]);
        assert_true(base64_decode(coded[i], &back));
        assert_string_equal(buf_text(&back), words[i]);
    }
    AUTO(buf_release) struct buf none = BUF_INIT(0);
    assert_false(base64_decode("Zg=x", &none));
    assert_false(base64_decode("Z", &none));
    assert_false(base64_decode("Z-_v", &none));
}

/* Gives ARG back where one failed. */
static void *many_gets(void *arg)
{
    for (int i = 0; i < 20; i++) {
        AUTO(mem_freep) char *url = url_of("/ok");
        struct http_request request = {.url = url};
        struct http_response response = {0};
        struct error err = {0};
        if (http_perform(client, &request, &response, &err) != 0 || response.status != 200) {
            return arg;
        }
        http_response_release(&response);
    }
    return NULL;
}

static void test_http__many_threads_share_a_client(void **state)
{
    (void)state;
    pthread_t threads[8];
    int before = times_asked("/connections");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        thread_start(&threads[i], many_gets, &threads[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(times_asked("/ok"), 160);
    /* Connections are kept: one for each thread is enough. */
    assert_true(times_asked("/connections") - before <= 8);
}

static void test_http__a_certificate_must_be_one(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist certificates = {0};
    strlist_add(&certificates, "h:1=/nonexistent.pem");
    struct http_options options = {.certificates = &certificates};
    struct http_client *none = NULL;
    struct error err = {0};
    assert_int_equal(http_client_open(&options, &none, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    SAYS(err, "certificate for h:1: ");
}

static int get_with(const struct http_options *options, const char *url, struct error *err)
{
    AUTO(http_client_freep) struct http_client *own = NULL;
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.url = url, .retries = HTTP_NO_RETRIES};
    *err = (struct error){0};
    if (http_client_open(options, &own, err) != 0 ||
        http_perform(own, &request, &response, err) != 0) {
        return -1;
    }
    return http_check(&request, &response, err);
}

static void test_http__tls_is_verified(void **state)
{
    (void)state;
    struct misbehaving tls = {0};
    AUTO(strlist_release) struct strlist certificates = {0};
    AUTO(strlist_release) struct strlist other = {0};
    struct http_options with = {.certificates = &certificates};
    struct http_options with_other = {.certificates = &other};
    struct error err = {0};
    assert_true(misbehaving_start_tls(&tls));
    AUTO(mem_freep) char *url = mem_printf("https://%s/ok", tls.host);
    strlist_addf(&certificates, "127.0.0.1=%s/cert", tls.folder);
    strlist_addf(&other, "localhost=%s/cert", tls.folder);
    assert_int_equal(get_with(NULL, url, &err), -1);
    SAYS(err, "certificate");
    assert_int_equal(get_with(&with_other, url, &err), -1);
    SAYS(err, "certificate");
    if (get_with(&with, url, &err) != 0) {
        fail_msg("%s", err.text);
    }
    /* From https no redirect leads to http. */
    AUTO(mem_freep)
    char *down = mem_printf("https://%s/to/302?url=http://%s/ok", tls.host, server.host);
    assert_int_equal(get_with(&with, down, &err), -1);
    SAYS(err, "redirected from https to http://127.0.0.1:");
    misbehaving_stop(&tls);
}

static void test_http__proxies_come_from_the_environment(void **state)
{
    (void)state;
    AUTO(mem_freep) char *proxy = mem_printf("http://%s", server.host);
    AUTO(mem_freep) char *loopback = url_of("/ok");
    struct error err = {0};
    setenv("HTTP_PROXY", proxy, 1);
    assert_int_equal(get_with(NULL, "http://nowhere.invalid/ok", &err), 0);
    setenv("NO_PROXY", "other.example,.invalid", 1);
    assert_int_equal(get_with(NULL, "http://nowhere.invalid/ok", &err), -1);
    SAYS(err, "resolve");
    unsetenv("NO_PROXY");
    setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
    assert_int_equal(get_with(NULL, loopback, &err), 0);
    unsetenv("HTTP_PROXY");
}

static void *cancel_soon(void *arg)
{
    usleep(200 * 1000);
    cancel_request(SIGINT);
    return arg;
}

/* The last one: a wish to stop is never taken back. */
static void test_http__the_wish_to_stop_is_heard(void **state)
{
    (void)state;
    pthread_t thread;
    AUTO(mem_freep) char *url = url_of("/stall/20");
    struct error err = {0};
    double before = now();
    thread_start(&thread, cancel_soon, NULL);
    assert_int_equal(get_with(NULL, url, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_true(now() - before < 1);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http__transient_failures_are_tried_again),
        cmocka_unit_test(test_http__retries_end),
        cmocka_unit_test(test_http__retry_after_is_kept),
        cmocka_unit_test(test_http__nobody_listens),
        cmocka_unit_test(test_http__limits_hold),
        cmocka_unit_test(test_http__standstill_is_noticed),
        cmocka_unit_test(test_http__a_loop_ends),
        cmocka_unit_test(test_http__authorization_stays_at_its_host),
        cmocka_unit_test(test_http__bodies_are_sent_again),
        cmocka_unit_test(test_http__codings_are_taken_off),
        cmocka_unit_test(test_http__broken_downloads_go_on),
        cmocka_unit_test(test_http__servers_words_are_shown_on_one_line),
        cmocka_unit_test(test_http__urls_are_shown_without_secrets),
        cmocka_unit_test(test_http__locations_are_resolved),
        cmocka_unit_test(test_http__base64_goes_there_and_back),
        cmocka_unit_test(test_http__many_threads_share_a_client),
        cmocka_unit_test(test_http__a_certificate_must_be_one),
        cmocka_unit_test(test_http__tls_is_verified),
        cmocka_unit_test(test_http__proxies_come_from_the_environment),
        cmocka_unit_test(test_http__the_wish_to_stop_is_heard),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
