/* Instructions that only change the config. */
#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/stage.h"
#include "oci/config.h"

/* JSON holds UTF-8 only: what is not cannot stand in a config. */
static int check_text(const char *text, struct error *err)
{
    AUTO(json_freep) json_t *json = json_string(text);
    return json ? 0 : error_set(err, ERR_USAGE, "not UTF-8, which an image's config cannot hold");
}

static int expand_checked(struct stage *stage, const struct instruction *in, const char *word,
                          char **out, struct error *err)
{
    AUTO(mem_freep) char *text = NULL;
    if (stage_expand(stage, in, word, &text, err) != 0 || check_text(text, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(text);
    return 0;
}

/* KEY=VALUE pairs, all expanded with the variables as they were before the instruction. */
static int expand_pairs(struct stage *stage, const struct instruction *in, struct strlist *keys,
                        struct strlist *values, struct error *err)
{
    for (size_t i = 0; i < in->pairs_len; i++) {
        char *key = NULL;
        char *value = NULL;
        if (expand_checked(stage, in, in->pairs[i].key, &key, err) != 0) {
            return -1;
        }
        strlist_take(keys, key);
        if (expand_checked(stage, in, in->pairs[i].value, &value, err) != 0) {
            return -1;
        }
        strlist_take(values, value);
        if (!key[0]) {
            return error_set(err, ERR_USAGE, "%s: a name is empty", instruction_name(in->type));
        }
    }
    return 0;
}

static int env_or_label(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(strlist_release) struct strlist keys = {0};
    AUTO(strlist_release) struct strlist values = {0};
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    if (expand_pairs(stage, in, &keys, &values, err) != 0) {
        return -1;
    }
    buf_puts(&line, instruction_name(in->type));
    for (size_t i = 0; i < keys.len; i++) {
        buf_printf(&line, " %s=%s", keys.items[i], values.items[i]);
        if (in->type == INSTRUCTION_ENV) {
            strlist_env_set(&stage->env, keys.items[i], values.items[i]);
        } else {
            config_set_in_map(stage->config, "Labels", keys.items[i], values.items[i]);
        }
    }
    if (in->type == INSTRUCTION_ENV) {
        config_set_list(stage->config, "Env", &stage->env);
    }
    stage_note(stage, buf_text(&line));
    return 0;
}

/* CMD and ENTRYPOINT are not expanded: their variables are the container's. */
static int command(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(strlist_release) struct strlist words = {0};
    if (!in->exec_form) {
        strlist_add_all(&words, &stage->shell);
    }
    strlist_add_all(&words, &in->args);
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    AUTO(json_freep) json_t *array = json_array();
    for (size_t i = 0; i < words.len; i++) {
        if (check_text(words.items[i], err) != 0) {
            return -1;
        }
        json_array_append_new(array, json_string(words.items[i]));
    }
    buf_printf(&line, "%s ", instruction_name(in->type));
    json_render(array, &line);
    const char *member = in->type == INSTRUCTION_CMD ? "Cmd" : "Entrypoint";
    config_set_list(stage->config, member, &words);
    if (in->type == INSTRUCTION_CMD) {
        stage->cmd_set = true;
    } else if (!stage->cmd_set) {
        /* The base's CMD was meant for the base's ENTRYPOINT. */
        config_set_list(stage->config, "Cmd", NULL);
    }
    stage_note(stage, buf_text(&line));
    return 0;
}

/* A port, or -1. */
static long read_port(const char *text, size_t len)
{
    long port = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]) || port > 65535) {
            return -1;
        }
        port = port * 10 + (text[i] - '0');
    }
    return len > 0 && port <= 65535 ? port : -1;
}

static int add_ports(struct stage *stage, const char *word, struct error *err)
{
    size_t len = strcspn(word, "/");
    const char *protocol = word[len] == '/' ? word + len + 1 : "tcp";
    AUTO(mem_freep) char *lower = mem_strdup(protocol);
    for (char *p = lower; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    if (strcmp(lower, "tcp") != 0 && strcmp(lower, "udp") != 0 && strcmp(lower, "sctp") != 0) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: the protocol is not tcp, udp or sctp", word);
    }
    size_t dash = strcspn(word, "-/");
    bool range = word[dash] == '-';
    long first = read_port(word, dash);
    long last = range ? read_port(word + dash + 1, len - dash - 1) : first;
    if (first < 0 || last < first) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: not a port between 0 and 65535", word);
    }
    for (long port = first; port <= last; port++) {
        AUTO(mem_freep) char *name = mem_printf("%ld/%s", port, lower);
        config_set_in_map(stage->config, "ExposedPorts", name, NULL);
    }
    return 0;
}

/* EXPOSE and VOLUME: words; in VOLUME's JSON form each is one. */
static int words_of(struct stage *stage, const struct instruction *in, struct strlist *out,
                    struct error *err)
{
    for (size_t i = 0; i < in->args.len; i++) {
        char *word = NULL;
        if (in->type == INSTRUCTION_EXPOSE) {
            if (stage_expand_words(stage, in, in->args.items[i], out, err) != 0) {
                return -1;
            }
        } else if (expand_checked(stage, in, in->args.items[i], &word, err) != 0) {
            return -1;
        } else {
            strlist_take(out, word);
        }
    }
    return 0;
}

static int ports_or_volumes(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(strlist_release) struct strlist words = {0};
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    if (words_of(stage, in, &words, err) != 0) {
        return -1;
    }
    buf_puts(&line, instruction_name(in->type));
    for (size_t i = 0; i < words.len; i++) {
        buf_printf(&line, " %s", words.items[i]);
        if (in->type == INSTRUCTION_EXPOSE) {
            if (add_ports(stage, words.items[i], err) != 0) {
                return -1;
            }
        } else if (!words.items[i][0]) {
            return error_set(err, ERR_USAGE, "VOLUME: a path is empty");
        } else {
            config_set_in_map(stage->config, "Volumes", words.items[i], NULL);
        }
    }
    stage_note(stage, buf_text(&line));
    return 0;
}

/* A signal's name with or without SIG, RTMIN+N, or a number. */
static bool is_signal(const char *text)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    long number = read_port(text, strlen(text));
    if (number >= 0) {
        return number > 0 && number <= SIGRTMAX;
    }
    if (strncasecmp(name, "RTMIN", 5) == 0 || strncasecmp(name, "RTMAX", 5) == 0) {
        char sign = name[5] == '+' ? '+' : '-';
        bool fits = (sign == '+') == (toupper((unsigned char)name[3]) == 'I');
        long offset = name[5] ? read_port(name + 6, strlen(name + 6)) : 0;
        return !name[5] || (fits && name[5] == sign && offset >= 0 && offset <= 30);
    }
    static const char *const more[] = {"IOT", "CLD", "POLL"};
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        if (strcasecmp(name, more[i]) == 0) {
            return true;
        }
    }
    for (int signal = 1; signal < 32; signal++) {
        const char *known = sigabbrev_np(signal);
        if (known && strcasecmp(name, known) == 0) {
            return true;
        }
    }
    return false;
}

/* USER, STOPSIGNAL, MAINTAINER: one text. */
static int text_member(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(mem_freep) char *text = NULL;
    if (in->type == INSTRUCTION_MAINTAINER) {
        if (check_text(in->args.items[0], err) != 0) {
            return -1;
        }
        text = mem_strdup(in->args.items[0]);
        json_object_set_new(stage->config, "author", json_string(text));
    } else if (expand_checked(stage, in, in->args.items[0], &text, err) != 0) {
        return -1;
    }
    if (in->type == INSTRUCTION_STOPSIGNAL) {
        if (!is_signal(text)) {
            return error_set(err, ERR_USAGE, "STOPSIGNAL %s: no such signal", text);
        }
        config_set_text(stage->config, "StopSignal", text);
    } else if (in->type == INSTRUCTION_USER) {
        config_set_text(stage->config, "User", text);
    }
    AUTO(mem_freep) char *line = mem_printf("%s %s", instruction_name(in->type), text);
    stage_note(stage, line);
    return 0;
}

static int shell(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(mem_freep) char *line = mem_printf("SHELL %s", in->rest);
    for (size_t i = 0; i < in->args.len; i++) {
        if (check_text(in->args.items[i], err) != 0) {
            return -1;
        }
    }
    strlist_release(&stage->shell);
    strlist_add_all(&stage->shell, &in->args);
    config_set_list(stage->config, "Shell", &in->args);
    stage_note(stage, line);
    return 0;
}

static void set_number(json_t *health, const char *key, int64_t value)
{
    if (value != 0) {
        json_object_set_new(health, key, json_integer(value));
    }
}

static int healthcheck(struct stage *stage, const struct instruction *in, struct error *err)
{
    const struct healthcheck *check = &in->health;
    json_t *test = json_array();
    AUTO(json_freep) json_t *health = json_object();
    json_object_set_new(health, "Test", test);
    json_array_append_new(test,
                          json_string(check->none ? "NONE" : (check->shell ? "CMD-SHELL" : "CMD")));
    for (size_t i = 0; i < in->args.len && !check->none; i++) {
        if (check_text(in->args.items[i], err) != 0) {
            return -1;
        }
        json_array_append_new(test, json_string(in->args.items[i]));
    }
    set_number(health, "Interval", check->interval_ns);
    set_number(health, "Timeout", check->timeout_ns);
    set_number(health, "StartPeriod", check->start_period_ns);
    set_number(health, "StartInterval", check->start_interval_ns);
    set_number(health, "Retries", check->retries);
    config_set_json(stage->config, "Healthcheck", json_incref(health));
    AUTO(mem_freep) char *line = mem_printf("HEALTHCHECK %s", in->rest);
    stage_note(stage, line);
    return 0;
}

static int onbuild(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(strlist_release) struct strlist triggers = {0};
    if (check_text(in->trigger_text, err) != 0) {
        return -1;
    }
    config_get_list(stage->config, "OnBuild", &triggers);
    strlist_add(&triggers, in->trigger_text);
    config_set_list(stage->config, "OnBuild", &triggers);
    AUTO(mem_freep) char *line = mem_printf("ONBUILD %s", in->trigger_text);
    stage_note(stage, line);
    return 0;
}

int stage_meta(struct stage *stage, const struct instruction *in, struct error *err)
{
    switch (in->type) {
    case INSTRUCTION_ENV:
    case INSTRUCTION_LABEL:
        return env_or_label(stage, in, err);
    case INSTRUCTION_CMD:
    case INSTRUCTION_ENTRYPOINT:
        return command(stage, in, err);
    case INSTRUCTION_EXPOSE:
    case INSTRUCTION_VOLUME:
        return ports_or_volumes(stage, in, err);
    case INSTRUCTION_USER:
    case INSTRUCTION_STOPSIGNAL:
    case INSTRUCTION_MAINTAINER:
        return text_member(stage, in, err);
    case INSTRUCTION_SHELL:
        return shell(stage, in, err);
    case INSTRUCTION_HEALTHCHECK:
        return healthcheck(stage, in, err);
    case INSTRUCTION_ONBUILD:
        return onbuild(stage, in, err);
    default:
        return error_set(err, ERR_USAGE, "%s cannot stand here", instruction_name(in->type));
    }
}
