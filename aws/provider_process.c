/* credential_process: a program of the user's that knows keys. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_internal.h"
#include "base/memory.h"
#include "base/program.h"

enum { TIMEOUT_S = 120, ANSWER_MAX = 256 * 1024 };

/* Adds the word at *TEXT, as a shell would read it without expanding anything; false for a quote
 * that is not closed. */
static bool take_word(const char **text, struct strlist *words)
{
    AUTO(buf_release) struct buf word = BUF_INIT(0);
    char quote = '\0';
    const char *p = *text;
    for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? '\0' : *p;
        } else if (*p == '\\' && quote != '\'' && p[1] && (!quote || p[1] == '"' || p[1] == '\\')) {
            buf_putc(&word, *++p);
        } else {
            buf_putc(&word, *p);
        }
    }
    *text = p;
    strlist_take(words, buf_take(&word));
    return !quote;
}

static bool split_words(const char *text, struct strlist *words)
{
    for (;;) {
        while (isspace((unsigned char)*text)) {
            text++;
        }
        if (!*text) {
            return words->len > 0;
        }
        if (!take_word(&text, words)) {
            return false;
        }
    }
}

int aws_from_process(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                     struct error *err)
{
    const char *line = aws_profile_get(search->profiles, search->profile, "credential_process");
    if (!line) {
        return 0;
    }
    AUTO(strlist_release) struct strlist words = {0};
    AUTO(mem_freep)
    char *name = mem_printf("credential_process of the AWS profile '%s'", search->profile);
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    AUTO(json_freep) json_t *root = NULL;
    struct error ignored = {0};
    int status = 0;
    if (!split_words(line, &words)) {
        return error_set(err, ERR_AUTH, "%s: a quote is not closed", name);
    }
    struct program program = {.argv = words.items,
                              .name = name,
                              .max_answer = ANSWER_MAX,
                              .timeout_s = TIMEOUT_S,
                              .code = ERR_AUTH};
    if (program_ask(&program, &answer, &status, err) != 0) {
        return -1;
    }
    if (status != 0) {
        return error_set(err, ERR_AUTH, "%s: it ended with status %d", name, status);
    }
    /* The parser's words could quote the secret. */
    if (json_parse(buf_text(&answer), answer.len, ANSWER_MAX, name, ERR_AUTH, &root, &ignored) !=
        0) {
        return error_set(err, ERR_AUTH, "%s: the answer is not JSON", name);
    }
    if (json_integer_value(json_object_get(root, "Version")) != 1) {
        return error_set(err, ERR_AUTH, "%s: the answer's Version is not 1", name);
    }
    *found_out = aws_keys_from_json(root, "SessionToken", name, out, err) == 0;
    return *found_out ? 0 : -1;
}
