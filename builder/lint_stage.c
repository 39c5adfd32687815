/* Rules about the instructions of a stage. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/expose.h"
#include "builder/lint_internal.h"
#include "git/source.h"

/* The command line as a JSON array, where a shell would split it at blanks and do nothing more;
 * else one that gives it to the shell. */
static char *as_json(const char *command)
{
    AUTO(json_freep) json_t *array = json_array();
    struct buf text = BUF_INIT(0);
    if (strpbrk(command, "\"'\\$`&|;<>(){}*?[]#~!=\n")) {
        return mem_strdup("[\"/bin/sh\", \"-c\", \"exec ...\"]");
    }
    for (const char *p = command; *p;) {
        size_t len = strcspn(p, " \t");
        if (len > 0) {
            json_array_append_new(array, json_stringn(p, len));
        }
        p += len;
        p += strspn(p, " \t");
    }
    json_render(array, &text);
    return buf_take(&text);
}

static void json_args(struct linter *l, const struct lint_rule *rule, const struct instruction *in)
{
    bool command = in->type == INSTRUCTION_CMD || in->type == INSTRUCTION_ENTRYPOINT;
    if (!command || in->exec_form || in->args.len == 0) {
        return;
    }
    if (!l->now->shell_set) {
        lint_ask_base(l);
    }
    if (l->now->shell_set) {
        return;
    }
    const char *name = instruction_name(in->type);
    AUTO(mem_freep) char *json = as_json(in->args.items[0]);
    lint_add(l, rule, in, in->args.items[0], mem_printf("write %s %s", name, json),
             "JSON arguments recommended for %s to prevent unintended behavior related to OS "
             "signals",
             in->keyword);
}

static void multiple(struct linter *l, const struct lint_rule *rule, const struct instruction *in)
{
    const struct instruction *before = in->type == INSTRUCTION_CMD           ? l->now->cmd
                                       : in->type == INSTRUCTION_ENTRYPOINT  ? l->now->entrypoint
                                       : in->type == INSTRUCTION_HEALTHCHECK ? l->now->healthcheck
                                                                             : NULL;
    if (before) {
        lint_add(l, rule, before, NULL, mem_printf("take this one out; line %u counts", in->line),
                 "Multiple %s instructions should not be used in the same stage because only the "
                 "last one will be used",
                 in->keyword);
    }
}

static void legacy_pair(struct linter *l, const struct lint_rule *rule,
                        const struct instruction *in)
{
    if (!in->legacy_pair || (in->type != INSTRUCTION_ENV && in->type != INSTRUCTION_LABEL)) {
        return;
    }
    const struct pair *pair = &in->pairs[0];
    const char *quote = strpbrk(pair->value, " \t") && !strpbrk(pair->value, "\"'") ? "\"" : "";
    lint_add(l, rule, in, in->rest,
             mem_printf("write %s %s=%s%.80s%s", instruction_name(in->type), pair->key, quote,
                        pair->value, quote),
             "\"%s key=value\" should be used instead of legacy \"%s key value\" format",
             in->keyword, in->keyword);
}

/* Whether a part of KEY between underscores is one of NAMES. */
static bool has_part(const char *key, const char *const *names, size_t count)
{
    for (const char *p = key; *p;) {
        size_t len = strcspn(p, "_");
        for (size_t i = 0; i < count; i++) {
            if (strlen(names[i]) == len && strncasecmp(names[i], p, len) == 0) {
                return true;
            }
        }
        p += len + (p[len] == '_');
    }
    return false;
}

static void secrets(struct linter *l, const struct lint_rule *rule, const struct instruction *in)
{
    static const char *const secret[] = {"apikey",   "auth",  "credential", "credentials", "key",
                                         "password", "pword", "passwd",     "secret",      "token"};
    static const char *const harmless[] = {"public", "file", "version"};
    if (in->type != INSTRUCTION_ARG && in->type != INSTRUCTION_ENV) {
        return;
    }
    for (size_t i = 0; i < in->pairs_len; i++) {
        const char *key = in->pairs[i].key;
        if (has_part(key, secret, ARRAY_LEN(secret)) &&
            !has_part(key, harmless, ARRAY_LEN(harmless))) {
            lint_add(l, rule, in, key,
                     mem_printf("write RUN --mount=type=secret,id=%s,env=%s, and build with "
                                "--secret id=%s",
                                key, key, key),
                     "Do not use ARG or ENV instructions for sensitive data (%s \"%s\")",
                     instruction_name(in->type), key);
        }
    }
}

static void relative_workdir(struct linter *l, const struct lint_rule *rule,
                             const struct instruction *in)
{
    AUTO(mem_freep) char *path = NULL;
    struct error ignored = {0};
    if (in->type != INSTRUCTION_WORKDIR || l->now->workdir_set ||
        lint_expand(l, in, in->args.items[0], &path, &ignored) != 0 || path[0] == '/') {
        return;
    }
    lint_add(l, rule, in, in->args.items[0], mem_printf("write WORKDIR /%s", path),
             "Relative workdir \"%s\" can have unexpected results if the base image changes", path);
}

/* Whether SOURCE of ADD is none of the context's files. */
static bool is_remote(const struct instruction *in, const char *source)
{
    return in->type == INSTRUCTION_ADD &&
           (strncasecmp(source, "http://", 7) == 0 || strncasecmp(source, "https://", 8) == 0 ||
            git_is_url(source));
}

static void ignored_file(struct linter *l, const struct lint_rule *rule,
                         const struct instruction *in)
{
    const struct ignore *ignore = l->inputs->ignore;
    bool copies = in->type == INSTRUCTION_COPY || in->type == INSTRUCTION_ADD;
    /* What "!" takes back in below a folder cannot be told without its files. */
    if (!ignore || !copies || instruction_flag(in, "from") || ignore_has_exceptions(ignore)) {
        return;
    }
    for (size_t i = 0; i + 1 < in->args.len; i++) {
        const char *written = in->args.items[i];
        AUTO(mem_freep) char *source = NULL;
        struct error ignored = {0};
        unsigned line = 0;
        if (instruction_heredoc(in, written) ||
            lint_expand(l, in, written, &source, &ignored) != 0 || is_remote(in, source)) {
            continue;
        }
        AUTO(mem_freep) char *path = path_clean(source);
        bool excluded =
            path[0] ? ignore_excludes(ignore, path, false, &line) : ignore_takes_all(ignore);
        if (excluded) {
            char *advice =
                line ? mem_printf("see line %u: %s", line, ignore_pattern_at(ignore, line))
                     : mem_strdup("a pattern of it leaves out everything");
            lint_add(l, rule, in, written, advice,
                     "Attempting to %s file \"%s\" that is excluded by .dockerignore",
                     in->type == INSTRUCTION_ADD ? "Add" : "Copy", path[0] ? path : ".");
        }
    }
}

/* A word of EXPOSE. */
struct port_word {
    const char *written;
    const char *word; /* after expansion */
    struct exposed port;
};

/* Hands each port of EXPOSE to TELL. */
static void each_port(struct linter *l, const struct lint_rule *rule, const struct instruction *in,
                      void (*tell)(struct linter *l, const struct lint_rule *rule,
                                   const struct instruction *in, const struct port_word *port))
{
    for (size_t i = 0; in->type == INSTRUCTION_EXPOSE && i < in->args.len; i++) {
        AUTO(strlist_release) struct strlist words = {0};
        struct error ignored = {0};
        if (lint_expand_words(l, in->args.items[i], &words, &ignored) != 0) {
            continue;
        }
        for (size_t j = 0; j < words.len; j++) {
            struct port_word p = {.written = in->args.items[i], .word = words.items[j]};
            if (expose_parse(p.word, &p.port, &ignored) == 0) {
                tell(l, rule, in, &p);
            }
        }
    }
}

static char *port_text(const struct exposed *port)
{
    return port->last > port->first
               ? mem_printf("write %u-%u/%s", port->first, port->last, port->protocol)
               : mem_printf("write %u/%s", port->first, port->protocol);
}

static void tell_case(struct linter *l, const struct lint_rule *rule, const struct instruction *in,
                      const struct port_word *p)
{
    if (p->port.odd_case) {
        lint_add(l, rule, in, p->written, port_text(&p->port),
                 "Defined protocol '%s' in EXPOSE instruction should be lowercase", p->word);
    }
}

static void tell_mapping(struct linter *l, const struct lint_rule *rule,
                         const struct instruction *in, const struct port_word *p)
{
    if (p->port.mapped) {
        lint_add(l, rule, in, p->written, port_text(&p->port),
                 "EXPOSE instruction should not define an IP address or host-port mapping, found "
                 "'%s'",
                 p->word);
    }
}

static void port_casing(struct linter *l, const struct lint_rule *rule,
                        const struct instruction *in)
{
    each_port(l, rule, in, tell_case);
}

static void port_mapping(struct linter *l, const struct lint_rule *rule,
                         const struct instruction *in)
{
    each_port(l, rule, in, tell_mapping);
}

static const struct lint_check checks[] = {
    {{"JSONArgsRecommended",
      "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS "
      "signals",
      "json-args-recommended", false},
     NULL,
     json_args},
    {{"MultipleInstructionsDisallowed",
      "Multiple instructions of the same type should not be used in the same stage",
      "multiple-instructions-disallowed", false},
     NULL,
     multiple},
    {{"LegacyKeyValueFormat",
      "Legacy key/value format with whitespace separator should not be used",
      "legacy-key-value-format", false},
     NULL,
     legacy_pair},
    {{"SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands",
      "secrets-used-in-arg-or-env", false},
     NULL,
     secrets},
    {{"WorkdirRelativePath",
      "Relative workdir without an absolute workdir declared within the build can have unexpected "
      "results if the base image changes",
      "workdir-relative-path", false},
     NULL,
     relative_workdir},
    {{"CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore",
      "copy-ignored-file", false},
     NULL,
     ignored_file},
    {{"ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase",
      "expose-proto-casing", false},
     NULL,
     port_casing},
    {{"ExposeInvalidFormat",
      "IP address and host-port mapping should not be used in EXPOSE instruction. This will become "
      "an error in a future release",
      "expose-invalid-format", false},
     NULL,
     port_mapping},
};
const struct lint_table lint_checks_stage = {checks, ARRAY_LEN(checks)};
