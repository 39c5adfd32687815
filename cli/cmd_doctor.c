#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "base/memory.h"
#include "builder/sandbox.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/version.h"

struct doctor_options {
    bool json;
};

static const struct option_spec specs[] = {
    {.name = "json",
     .help = "one JSON document",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct doctor_options, json)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "doctor",
    .usage = "[OPTIONS]",
    .summary =
        "Shows what this machine allows: how RUN is isolated and the one setting that would\n"
        "better it, where the store lies, where credentials are. Asks nobody but for AWS's keys.",
    .groups = {&group},
};

static const char *const status_names[] = {
    [FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_PROBLEM] = "problem"};

void findings_release(struct findings *findings)
{
    for (size_t i = 0; i < findings->len; i++) {
        free(findings->items[i].text);
        free(findings->items[i].advice);
    }
    free(findings->items);
    *findings = (struct findings){0};
}

void findings_add(struct findings *findings, const char *check, enum finding_status status,
                  char *text, char *advice)
{
    findings->items = mem_realloc(findings->items, findings->len + 1, sizeof *findings->items);
    findings->items[findings->len++] =
        (struct finding){.check = check, .status = status, .text = text, .advice = advice};
}

static void look_at_versions(struct findings *findings)
{
    struct utsname host;
    bool known = uname(&host) == 0;
    findings_add(findings, "versions", FINDING_OK,
                 mem_printf("slipway %s, %s %s %s, glibc %s", SLIPWAY_VERSION,
                            known ? host.sysname : "Linux", known ? host.release : "?",
                            known ? host.machine : "?", gnu_get_libc_version()),
                 NULL);
}

static void print_text(const struct findings *findings)
{
    for (size_t i = 0; i < findings->len; i++) {
        const struct finding *f = &findings->items[i];
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        text_clean(f->text, strlen(f->text), &text);
        printf("%-8s %-17s %s\n", status_names[f->status], f->check, buf_text(&text));
        if (f->advice) {
            buf_clear(&text);
            text_clean(f->advice, strlen(f->advice), &text);
            printf("%-8s %-17s -> %s\n", "", "", buf_text(&text));
        }
    }
}

static json_t *clean_json(const char *text)
{
    AUTO(buf_release) struct buf clean = BUF_INIT(0);
    text_utf8(text, strlen(text), &clean);
    return json_string(buf_text(&clean));
}

static void print_json(const struct findings *findings)
{
    AUTO(json_freep) json_t *root = json_object();
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    json_t *list = json_array();
    for (size_t i = 0; i < findings->len; i++) {
        const struct finding *f = &findings->items[i];
        json_t *item = json_object();
        json_object_set_new(item, "check", json_string(f->check));
        json_object_set_new(item, "status", json_string(status_names[f->status]));
        json_object_set_new(item, "text", clean_json(f->text));
        json_object_set_new(item, "advice", f->advice ? clean_json(f->advice) : json_null());
        json_array_append_new(list, item);
    }
    json_object_set_new(root, "version", json_string(SLIPWAY_VERSION));
    json_object_set_new(root, "findings", list);
    json_render_pretty(root, &out);
    fputs(buf_text(&out), stdout);
}

int cmd_doctor(struct invocation *call, struct error *err)
{
    struct doctor_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(findings_release) struct findings findings = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    /* What a RUN would see. */
    if (done || sandbox_enter(call->argc, call->argv, &call->status)) {
        return 0;
    }
    doctor_machine(&findings);
    doctor_access(&findings);
    look_at_versions(&findings);
    if (options.json) {
        print_json(&findings);
    } else {
        print_text(&findings);
    }
    return 0;
}
