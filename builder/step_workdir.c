/* WORKDIR: the folder that the next instructions start in; made where it is missing. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/edit.h"
#include "builder/stage.h"
#include "oci/config.h"

struct workdir {
    struct stage *stage;
    const char *path;
};

static int make_workdir(void *ctx, uint64_t number, struct tree **diff_out, struct error *err)
{
    (void)number;
    const struct workdir *w = ctx;
    struct tree *base = NULL;
    struct owner owner = {0};
    const char *user = config_get_text(w->stage->config, "User");
    if (stack_tree(&w->stage->stack, &base, err) != 0 ||
        stage_owner(w->stage, base, user ? user : "", &owner, err) != 0) {
        return -1;
    }
    const struct new_dirs made = {.owner = owner, .mode = 0755};
    AUTO(edit_freep) struct edit *edit = edit_new(base);
    AUTO(mem_freep) char *real = NULL;
    if (edit_resolve(edit, w->path, true, &real, err) != 0) {
        err->code = ERR_STEP;
        return -1;
    }
    const struct entry *there = real[0] ? edit_find(edit, real) : NULL;
    if ((!there || there->type != ENTRY_DIR) && edit_make_dirs(edit, real, &made, err) != 0) {
        return -1;
    }
    *diff_out = edit_finish(MEM_STEAL(edit));
    return 0;
}

int stage_workdir(struct stage *stage, const struct instruction *in, struct error *err)
{
    AUTO(mem_freep) char *word = NULL;
    if (stage_expand(stage, in, in->args.items[0], &word, err) != 0) {
        return -1;
    }
    /* An empty path is the folder that it is already (BuildKit). */
    AUTO(mem_freep) char *joined = path_join(stage->workdir, word);
    AUTO(mem_freep) char *path = mem_printf("/%s", joined);
    AUTO(mem_freep) char *line = mem_printf("WORKDIR %s", path);
    struct workdir w = {.stage = stage, .path = path};
    AUTO(step_key_freep) struct step_key *key = stage_key(stage, "WORKDIR");
    step_key_text(key, "the path", path);
    step_key_text(key, "USER", config_get_text(stage->config, "User"));
    struct step step = {.in = in, .created_by = line, .key = key, .make = make_workdir, .ctx = &w};
    if (stage_step(stage, &step, err) != 0) {
        return stage_locate(stage, in, in->args.items[0], err);
    }
    config_set_text(stage->config, "WorkingDir", path);
    free(stage->workdir);
    stage->workdir = MEM_STEAL(path);
    return 0;
}
