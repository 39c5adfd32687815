/* The images of one run, built side by side. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "cli/build_command.h"
#include "cli/names.h"
#include "cli/ship.h"

/* Each build uses all cores where it can; more at once only wait for each other. */
enum { SIDE_BY_SIDE = 4 };

/* Tells the events of several builds apart: each has its numbers and its name in front. */
struct named_sink {
    struct event_sink sink; /* first */
    struct event_sink *next;
    const char *name;
    uint64_t index;
    uint64_t count;
};

struct ship_run {
    struct ship *ship;
    struct invocation *call;
    pthread_mutex_t lock; /* of what follows */
    size_t next;          /* image */
    bool failed;
    struct error error;
};

static void post_named(struct event_sink *sink, const struct event *event)
{
    const struct named_sink *named = (const struct named_sink *)(const void *)sink;
    struct event copy = *event;
    AUTO(mem_freep) char *name = NULL;
    if (event->step > 0) {
        copy.step = (event->step - 1) * named->count + named->index + 1;
    }
    if (event->type == EVENT_STEP_START && event->name && event->name[0] == '[') {
        name = mem_printf("[%s %s", named->name, event->name + 1);
        copy.name = name;
    }
    event_post(named->next, &copy);
}

/* The image's first name by digest and by tag, if the registry confirmed it. */
static int take_names(struct ship_image *image, struct error *err)
{
    const char *tag = image->build.request.tags.items[0];
    const struct build_result *result = &image->result;
    struct error ignored = {0};
    struct reference ref = {0};
    bool confirmed = false;
    if (reference_parse(tag, &ref, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < result->pushed.len && !confirmed; i++) {
        struct reference pushed = {0};
        if (reference_parse(result->pushed.items[i], &pushed, &ignored) != 0) {
            continue;
        }
        confirmed = strcmp(pushed.host, ref.host) == 0 &&
                    strcmp(pushed.repository, ref.repository) == 0 &&
                    (!pushed.tag || strcmp(pushed.tag, reference_tag(&ref)) == 0) &&
                    pushed.has_digest && digest_equal(&pushed.digest, &result->top.digest);
        reference_release(&pushed);
    }
    if (confirmed) {
        image->by_tag = reference_key(&ref);
        ref.has_digest = true;
        ref.digest = result->top.digest;
        image->by_digest = reference_key(&ref);
    }
    reference_release(&ref);
    return confirmed ? 0
                     : error_set(err, ERR_REMOTE,
                                 "the registry did not confirm %s: nothing is written", tag);
}

static int build_image(struct ship_run *run, size_t index, struct invocation *call,
                       struct error *err)
{
    struct ship *ship = run->ship;
    struct ship_image *image = &ship->images[index];
    struct named_sink sink = {.sink = {.post = post_named},
                              .next = ship->session->events,
                              .name = image->wanted->name,
                              .index = index,
                              .count = ship->len};
    struct session session = *ship->session;
    if (ship->len > 1) {
        session.events = &sink.sink;
    }
    if (build_command_run(call, &image->build, &session, &image->result, err) != 0) {
        return ship->len > 1 ? error_wrap(err, "%s", image->wanted->name) : -1;
    }
    return take_names(image, err);
}

/* The first failure counts, unless it is only the echo of another one. */
static void note_failure(struct ship_run *run, const struct error *err, struct invocation *own)
{
    pthread_mutex_lock(&run->lock);
    if (!run->failed || run->error.code == ERR_CANCELLED) {
        run->error = *err;
        free(run->call->source_name);
        free(run->call->source_text);
        run->call->source_name = MEM_STEAL(own->source_name);
        run->call->source_text = MEM_STEAL(own->source_text);
    }
    run->failed = true;
    pthread_mutex_unlock(&run->lock);
}

static void *worker(void *arg)
{
    struct ship_run *run = arg;
    for (;;) {
        pthread_mutex_lock(&run->lock);
        size_t index = run->failed ? run->ship->len : run->next++;
        pthread_mutex_unlock(&run->lock);
        if (index >= run->ship->len) {
            return NULL;
        }
        struct error err = {0};
        struct invocation own = *run->call;
        own.source_name = NULL;
        own.source_text = NULL;
        if (build_image(run, index, &own, &err) != 0) {
            note_failure(run, &err, &own);
        }
        free(own.source_name);
        free(own.source_text);
    }
}

int ship_build(struct ship *ship, struct invocation *call, struct error *err)
{
    struct ship_run run = {.ship = ship, .call = call};
    pthread_t threads[SIDE_BY_SIDE];
    size_t count = ship->len < SIDE_BY_SIDE ? ship->len : SIDE_BY_SIDE;
    pthread_mutex_init(&run.lock, NULL);
    for (size_t i = 1; i < count; i++) {
        thread_start(&threads[i], worker, &run);
    }
    worker(&run);
    for (size_t i = 1; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&run.lock);
    context_save(ship->context);
    if (run.failed) {
        *err = run.error;
        return -1;
    }
    return 0;
}
