#include "builder/agent_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

/* Connections at a time; further ones wait. */
enum { CONNECTIONS = 16, CHUNK = 16384 };

/* One connection: what one side says the other is told. */
struct pair {
    int ends[2]; /* the RUN's, the agent's; -1: free */
};

struct agent_proxy {
    int listener;
    int stop[2]; /* a pipe: closed at its writing end to stop */
    char *agent;
    pthread_t thread;
    struct pair pairs[CONNECTIONS];
};

static void pair_close(struct pair *pair)
{
    fd_closep(&pair->ends[0]);
    fd_closep(&pair->ends[1]);
}

static bool fill_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address->sun_path) {
        return false;
    }
    memcpy(address->sun_path, path, len + 1);
    return true;
}

static int connect_agent(const char *path)
{
    struct sockaddr_un address;
    AUTO(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !fill_address(&address, path) ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return -1;
    }
    return fd_steal(&fd);
}

static void take_connection(struct agent_proxy *p, struct pair *pair)
{
    pair->ends[0] = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (pair->ends[0] < 0) {
        return;
    }
    pair->ends[1] = connect_agent(p->agent);
    if (pair->ends[1] < 0) {
        pair_close(pair); /* as if the agent had hung up */
    }
}

/* Passes on what END of PAIR has to say. Messages of agents are short: a side that does not read
 * while it is written to holds up only itself. */
static void pass_on(struct pair *pair, int end)
{
    char chunk[CHUNK];
    ssize_t got = read(pair->ends[end], chunk, sizeof chunk);
    ssize_t sent = 0;
    while (got > 0 && sent < got) {
        ssize_t n = send(pair->ends[!end], chunk + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            got = 0;
        }
        sent += n > 0 ? n : 0;
    }
    if (got == 0 || (got < 0 && errno != EINTR)) {
        pair_close(pair);
    }
}

static struct pair *free_pair(struct agent_proxy *p)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (p->pairs[i].ends[0] < 0) {
            return &p->pairs[i];
        }
    }
    return NULL;
}

static void *serve(void *arg)
{
    struct agent_proxy *p = arg;
    struct pollfd wishes[2 + 2 * CONNECTIONS];
    for (;;) {
        wishes[0] = (struct pollfd){.fd = p->stop[0], .events = POLLIN};
        wishes[1] = (struct pollfd){.fd = free_pair(p) ? p->listener : -1, .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS; i++) {
            for (size_t end = 0; end < 2; end++) {
                wishes[2 + 2 * i + end] =
                    (struct pollfd){.fd = p->pairs[i].ends[end], .events = POLLIN};
            }
        }
        if (poll(wishes, ARRAY_LEN(wishes), -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (wishes[0].revents) {
            return NULL;
        }
        for (size_t i = 0; i < 2 * CONNECTIONS; i++) {
            struct pair *pair = &p->pairs[i / 2];
            if (wishes[2 + i].revents && pair->ends[i % 2] == wishes[2 + i].fd) {
                pass_on(pair, (int)(i % 2));
            }
        }
        if (wishes[1].revents) {
            take_connection(p, free_pair(p));
        }
    }
}

static int listen_at(int dirfd, const char *name, const struct agent_owner *owner, int *out,
                     struct error *err)
{
    struct sockaddr_un address;
    /* The folder's own path may be longer than an address. */
    AUTO(mem_freep) char *path = mem_printf("/proc/self/fd/%d/%s", dirfd, name);
    AUTO(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !fill_address(&address, path) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) {
        return error_errno(err, ERR_STORE, "make a socket for the ssh agent");
    }
    bool ours = owner->uid == geteuid() && owner->gid == getegid();
    if (!ours && geteuid() == 0 && fchownat(dirfd, name, owner->uid, owner->gid, 0) != 0) {
        return error_errno(err, ERR_STORE, "chown the socket for the ssh agent");
    }
    if (fchmodat(dirfd, name, owner->mode, 0) != 0) {
        return error_errno(err, ERR_STORE, "chmod the socket for the ssh agent");
    }
    *out = fd_steal(&fd);
    return 0;
}

static void proxy_free(struct agent_proxy *p)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        pair_close(&p->pairs[i]);
    }
    fd_closep(&p->listener);
    fd_closep(&p->stop[0]);
    fd_closep(&p->stop[1]);
    free(p->agent);
    free(p);
}

int agent_proxy_start(int dirfd, const char *name, const char *agent,
                      const struct agent_owner *owner, struct agent_proxy **out, struct error *err)
{
    struct agent_proxy *p = mem_calloc(1, sizeof *p);
    *p = (struct agent_proxy){.listener = -1, .stop = {-1, -1}, .agent = mem_strdup(agent)};
    for (size_t i = 0; i < CONNECTIONS; i++) {
        p->pairs[i] = (struct pair){.ends = {-1, -1}};
    }
    int r = listen_at(dirfd, name, owner, &p->listener, err);
    if (r == 0 && pipe2(p->stop, O_CLOEXEC) != 0) {
        r = error_errno(err, ERR_STORE, "make a pipe");
    }
    int failed = r == 0 ? pthread_create(&p->thread, NULL, serve, p) : 0;
    if (failed) {
        errno = failed;
        r = error_errno(err, ERR_STORE, "start a thread");
    }
    if (r != 0) {
        proxy_free(p);
        return -1;
    }
    *out = p;
    return 0;
}

void agent_proxy_stop(struct agent_proxy *p)
{
    if (!p) {
        return;
    }
    fd_closep(&p->stop[1]);
    pthread_join(p->thread, NULL);
    proxy_free(p);
}
