/* Rules about how something is written: they need no variables. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "builder/lint_internal.h"

static bool is_lower(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (isupper((unsigned char)*p)) {
            return false;
        }
    }
    return true;
}

static bool is_upper(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (islower((unsigned char)*p)) {
            return false;
        }
    }
    return true;
}

static char *in_case(const char *text, bool lower)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p; p++) {
        *p = (char)(lower ? tolower((unsigned char)*p) : toupper((unsigned char)*p));
    }
    return copy;
}

static void empty_continuation(struct linter *l, const struct lint_rule *rule,
                               const struct instruction *in)
{
    struct lint_finding *finding = NULL;
    if (in->empty_continuation) {
        finding = lint_add(l, rule, in, NULL,
                           mem_strdup("take the empty line out, or make it a comment (#)"),
                           "Empty continuation line");
    }
    if (finding) {
        /* The instruction's last line, as BuildKit has it; here-documents come later. */
        finding->line = in->end_line;
        for (size_t i = 0; i < in->heredocs_len; i++) {
            finding->line -= 1;
            for (const char *p = in->heredocs[i].raw; *p; p++) {
                finding->line -= *p == '\n';
            }
        }
        finding->first_line = finding->last_line = finding->line;
        finding->column = finding->width = 0;
    }
}

static void stage_name_casing(struct linter *l, const struct lint_rule *rule,
                              const struct instruction *in)
{
    if (in->stage_name && !is_lower(in->stage_name_written)) {
        lint_add(l, rule, in, in->stage_name_written, mem_printf("write '%s'", in->stage_name),
                 "Stage name '%s' should be lowercase", in->stage_name_written);
    }
}

static void from_as_casing(struct linter *l, const struct lint_rule *rule,
                           const struct instruction *in)
{
    bool lower = is_lower(in->keyword);
    if (!in->as_keyword || (!lower && !is_upper(in->keyword))) {
        return;
    }
    if (lower ? !is_lower(in->as_keyword) : !is_upper(in->as_keyword)) {
        lint_add(l, rule, in, in->as_keyword, mem_printf("write '%s'", lower ? "as" : "AS"),
                 "'%s' and '%s' keywords' casing do not match", in->as_keyword, in->keyword);
    }
}

static void instruction_casing(struct linter *l, const struct lint_rule *rule,
                               const struct instruction *in)
{
    bool global = in->type == INSTRUCTION_ARG && l->names.len == 0;
    if (global || (l->mostly_lower ? is_lower(in->keyword) : is_upper(in->keyword))) {
        return;
    }
    AUTO(mem_freep) char *right = in_case(in->keyword, l->mostly_lower);
    lint_add(l, rule, in, NULL, mem_printf("write '%s'", right),
             "Command '%s' should match the case of the command majority (%s)", in->keyword,
             l->mostly_lower ? "lowercase" : "uppercase");
}

static void reserved_stage_name(struct linter *l, const struct lint_rule *rule,
                                const struct instruction *in)
{
    const char *name = in->stage_name;
    if (name && (strcmp(name, "context") == 0 || strcmp(name, "scratch") == 0)) {
        lint_add(l, rule, in, in->stage_name_written, mem_strdup("give the stage another name"),
                 "Stage name should not use the same name as reserved stage \"%s\"", name);
    }
}

static void duplicate_stage_name(struct linter *l, const struct lint_rule *rule,
                                 const struct instruction *in)
{
    if (in->stage_name && strlist_has(&l->names, in->stage_name)) {
        lint_add(l, rule, in, in->stage_name_written,
                 mem_strdup("give one of them another name; the later hides the earlier"),
                 "Duplicate stage name \"%s\", stage names should be unique", in->stage_name);
    }
}

static void maintainer(struct linter *l, const struct lint_rule *rule, const struct instruction *in)
{
    if (in->type == INSTRUCTION_MAINTAINER) {
        lint_add(
            l, rule, in, NULL,
            mem_printf("write LABEL org.opencontainers.image.authors=\"%.80s\"", in->args.items[0]),
            "Maintainer instruction is deprecated in favor of using label");
    }
}

/* Whether the comment's first word is one of the names that IN defines. */
static bool describes(const struct instruction *in, const char *comment)
{
    size_t len = strcspn(comment, " ");
    if (in->type == INSTRUCTION_FROM) {
        return strlen(in->stage_name) == len && memcmp(in->stage_name, comment, len) == 0;
    }
    for (size_t i = 0; i < in->pairs_len; i++) {
        if (strlen(in->pairs[i].key) == len && memcmp(in->pairs[i].key, comment, len) == 0) {
            return true;
        }
    }
    return false;
}

static void definition_description(struct linter *l, const struct lint_rule *rule,
                                   const struct instruction *in)
{
    bool defines = in->type == INSTRUCTION_ARG || (in->type == INSTRUCTION_FROM && in->stage_name);
    AUTO(mem_freep) char *comment = defines ? lint_comment_above(l, l->index) : NULL;
    if (!comment || describes(in, comment)) {
        return;
    }
    const char *name = in->type == INSTRUCTION_FROM ? in->stage_name
                       : in->pairs_len > 1          ? "<arg_key>"
                                                    : in->pairs[0].key;
    lint_add(l, rule, in, NULL, mem_strdup("or put an empty comment line (#) between the two"),
             "Comment for %s should follow the format: `# %s <description>`",
             instruction_name(in->type), name);
}

static const struct lint_check checks[] = {
    {{"NoEmptyContinuation", "Empty continuation lines will become errors in a future release",
      "no-empty-continuation", false},
     empty_continuation,
     NULL},
    {{"StageNameCasing", "Stage names should be lowercase", "stage-name-casing", false},
     stage_name_casing,
     NULL},
    {{"FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword",
      "from-as-casing", false},
     from_as_casing,
     NULL},
    {{"MaintainerDeprecated",
      "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
      "maintainer-deprecated", false},
     maintainer,
     NULL},
    {{"InvalidDefinitionDescription",
      "Comment for build stage or argument should follow the format: `# <arg/stage name> "
      "<description>`. If this is not intended to be a description comment, add an empty line or "
      "comment between the instruction and the comment.",
      "invalid-definition-description", true},
     definition_description,
     NULL},
    {{"ReservedStageName", "Reserved words should not be used as stage names",
      "reserved-stage-name", false},
     reserved_stage_name,
     NULL},
    {{"DuplicateStageName", "Stage names should be unique", "duplicate-stage-name", false},
     duplicate_stage_name,
     NULL},
    {{"ConsistentInstructionCasing",
      "All commands within the Dockerfile should use the same casing (either upper or lower)",
      "consistent-instruction-casing", false},
     instruction_casing,
     NULL},
};
const struct lint_table lint_checks_syntax = {checks, ARRAY_LEN(checks)};
