/* The key of a COPY --from by the layers that it copies from. */
#include <string.h>

#include "base/memory.h"
#include "builder/step_copy_internal.h"

/* The flags as they are after expansion; --from's meaning is the source's layers. */
static int key_flags(struct copy_step *c, struct step_key *key, struct error *err)
{
    const struct instruction *in = c->in;
    for (size_t i = 0; i < in->flags_len; i++) {
        AUTO(mem_freep) char *value = NULL;
        if (strcmp(in->flags[i].name, "from") == 0) {
            continue;
        }
        bool plain = strcmp(in->flags[i].name, "exclude") == 0; /* no variables there */
        if (plain) {
            value = mem_strdup(in->flags[i].value);
        } else if (in->flags[i].value &&
                   stage_expand(c->stage, in, in->flags[i].value, &value, err) != 0) {
            return -1;
        }
        step_key_text(key, "flags", in->flags[i].name);
        step_key_text(key, "flags", value);
    }
    return 0;
}

static int key_words(struct copy_step *c, struct step_key *key, struct error *err)
{
    for (size_t i = 0; i + 1 < c->in->args.len; i++) {
        AUTO(mem_freep) char *word = NULL;
        if (stage_expand(c->stage, c->in, c->in->args.items[i], &word, err) != 0) {
            return -1;
        }
        step_key_text(key, "the sources", word);
    }
    return 0;
}

static bool has_heredoc(const struct instruction *in)
{
    for (size_t i = 0; i + 1 < in->args.len; i++) {
        if (instruction_heredoc(in, in->args.items[i])) {
            return true;
        }
    }
    return false;
}

int copy_layers_key(struct copy_step *c, bool *known_out, struct digest *out, struct error *err)
{
    static const struct digest nothing;
    static const char what[] = "COPY of layers";
    const struct layer_options *layer = &c->stage->build->request->layer;
    struct digest chain;
    *known_out = false;
    const char *from = instruction_flag(c->in, "from");
    if (c->in->type != INSTRUCTION_COPY || c->stage->build->dry || !from || strchr(from, '$') ||
        has_heredoc(c->in)) {
        return 0;
    }
    if (source_chain(c->stage->build, c->stage, from, known_out, &chain, err) != 0) {
        dockerfile_locate_flag(err, c->stage->build->df->file, c->in,
                               instruction_find_flag(c->in, "from"));
        return error_wrap(err, "COPY --from=%.200s", from);
    }
    if (!*known_out) {
        return 0;
    }
    AUTO(step_key_freep)
    struct step_key *key =
        copy_stands_alone(c) ? step_key_new(&nothing, layer, what) : stage_key(c->stage, what);
    step_key_data(key, "the layers", chain.bytes, sizeof chain.bytes);
    step_key_text(key, "the destination", c->dest);
    if (key_flags(c, key, err) != 0 || key_words(c, key, err) != 0) {
        return -1;
    }
    step_key_finish(key, out);
    return 0;
}
