/* Instructions that only change the config. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/expose.h"
#include "builder/stage.h"
#include "oci/config.h"

/* JSON holds UTF-8 only: what is not cannot stand in a config. WRITTEN: TEXT in the Dockerfile. */
static int check_text(struct stage *stage, const struct instruction *in, const char *text,
                      const char *written, struct error *err)
{
    AUTO(json_freep) json_t *json = json_string(text);
    if (json) {
        return 0;
    }
    error_set(err, ERR_USAGE, "%s: not UTF-8, which an image's config cannot hold",
              instruction_name(in->type));
    return stage_locate(stage, in, written, err);
}

static int expand_checked(struct stage *stage, const struct instruction *in, const char *word,
                          char **out, struct error *err)
{
    AUTO(mem_freep) char *text = NULL;
    if (stage_expand(stage, in, word, &text, err) != 0 ||
        check_text(stage, in, text, word, err) != 0) {
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
            if (!strlist_has(&stage->under, keys.items[i])) {
                strlist_add(&stage->under, keys.items[i]);
            }
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
    if (!in->exec_form && in->args.len == 0) {
        strlist_add(&words, ""); /* the shell's command is there, and empty */
    }
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    AUTO(json_freep) json_t *array = json_array();
    for (size_t i = 0; i < words.len; i++) {
        if (check_text(stage, in, words.items[i], words.items[i], err) != 0) {
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

static int add_ports(struct stage *stage, const char *word, struct error *err)
{
    struct exposed port = {0};
    if (expose_parse(word, &port, err) != 0) {
        return -1;
    }
    stage->exposed += port.last - port.first + 1;
    if (stage->exposed > LIMIT_EXPOSED) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: a stage names at most %zu ports", word,
                         LIMIT_EXPOSED);
    }
    for (unsigned i = port.first; i <= port.last; i++) {
        AUTO(mem_freep) char *name = mem_printf("%u/%s", i, port.protocol);
        config_set_in_map(stage->config, "ExposedPorts", name, NULL);
    }
    return 0;
}

/* The words that ARG of EXPOSE or VOLUME expands to; in VOLUME each stays one. */
static int words_of(struct stage *stage, const struct instruction *in, const char *arg,
                    struct strlist *out, struct error *err)
{
    if (in->type == INSTRUCTION_EXPOSE) {
        return stage_expand_words(stage, in, arg, out, err);
    }
    char *word = NULL;
    if (expand_checked(stage, in, arg, &word, err) != 0) {
        return -1;
    }
    strlist_take(out, word);
    return 0;
}

static int port_or_volume(struct stage *stage, const struct instruction *in, const char *word,
                          struct error *err)
{
    if (in->type == INSTRUCTION_EXPOSE) {
        return add_ports(stage, word, err);
    }
    if (!word[0]) {
        return error_set(err, ERR_USAGE, "VOLUME: a path is empty");
    }
    config_set_in_map(stage->config, "Volumes", word, NULL);
    return 0;
}

static int ports_or_volumes(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    buf_puts(&line, instruction_name(in->type));
    for (size_t i = 0; i < in->args.len; i++) {
        const char *arg = in->args.items[i];
        AUTO(strlist_release) struct strlist words = {0};
        if (words_of(stage, in, arg, &words, err) != 0) {
            return -1;
        }
        for (size_t j = 0; j < words.len; j++) {
            buf_printf(&line, " %s", words.items[j]);
            if (port_or_volume(stage, in, words.items[j], err) != 0) {
                return stage_locate(stage, in, arg, err);
            }
        }
    }
    stage_note(stage, buf_text(&line));
    return 0;
}

/* A number that Go's Atoi takes; false: it is none. */
static bool read_number(const char *text, long *out)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (!text[0] || isspace((unsigned char)text[0]) || *end || errno != 0) {
        return false;
    }
    *out = number;
    return true;
}

/* Whether NAME is RTMIN, RTMIN+1 to +15, RTMAX-14 to -1, or RTMAX. */
static bool is_real_time(const char *name)
{
    bool low = strncasecmp(name, "RTMIN", 5) == 0;
    if (!low && strncasecmp(name, "RTMAX", 5) != 0) {
        return false;
    }
    const char *offset = name + 5;
    if (!offset[0]) {
        return true;
    }
    size_t digits = strlen(offset + 1);
    long number = 0;
    return offset[0] == (low ? '+' : '-') && isdigit((unsigned char)offset[1]) &&
           offset[1] != '0' && digits <= 2 && read_number(offset + 1, &number) &&
           number <= (low ? 15 : 14);
}

/* A signal's name with or without SIG, or any number but 0 (moby/sys). */
static bool is_signal(const char *text)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    long number = 0;
    if (read_number(text, &number)) {
        return number != 0;
    }
    static const char *const more[] = {"IOT", "CLD", "IO", "POLL"};
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
    return is_real_time(name);
}

/* USER, STOPSIGNAL, MAINTAINER: one text. */
static int text_member(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(mem_freep) char *text = NULL;
    if (in->type == INSTRUCTION_MAINTAINER) {
        if (check_text(stage, in, in->args.items[0], in->args.items[0], err) != 0) {
            return -1;
        }
        text = mem_strdup(in->args.items[0]);
        json_object_set_new(stage->config, "author", json_string(text));
    } else if (expand_checked(stage, in, in->args.items[0], &text, err) != 0) {
        return -1;
    }
    if (in->type == INSTRUCTION_STOPSIGNAL) {
        if (!is_signal(text)) {
            error_set(err, ERR_USAGE, "STOPSIGNAL %s: no such signal", text);
            return stage_locate(stage, in, in->args.items[0], err);
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
        if (check_text(stage, in, in->args.items[i], in->args.items[i], err) != 0) {
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
        if (check_text(stage, in, in->args.items[i], in->args.items[i], err) != 0) {
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
    if (check_text(stage, in, in->trigger_text, in->trigger_text, err) != 0) {
        return -1;
    }
    if (in->trigger_fault) {
        event_warning(stage->build->events, stage->build->df->file, in->trigger_fault->line,
                      "ONBUILD: %s; builds that start from this image will fail",
                      in->trigger_fault->text);
    }
    config_get_list(stage->config, "OnBuild", &triggers);
    strlist_add(&triggers, in->trigger_text);
    config_set_list(stage->config, "OnBuild", &triggers); /* BuildKit's history is silent of it */
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
