/*
 * fixtures/misbehaving_server for a test program: started before the tests, ended with the program.
 */
#ifndef SLIPWAY_TESTS_BASE_MISBEHAVING_H
#define SLIPWAY_TESTS_BASE_MISBEHAVING_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct misbehaving {
    char folder[64];
    char host[64]; /* "127.0.0.1:PORT" */
    FILE *stdin_pipe;
};

/* Whether it runs. The server ends when its standard input does, so also when the program dies. */
static inline bool misbehaving_run(struct misbehaving *m, const char *pem)
{
    AUTO(mem_freep)
    char *command = mem_printf("exec fixtures/misbehaving_server %s/port %s", m->folder, pem);
    AUTO(mem_freep) char *port_file = mem_printf("%s/port", m->folder);
    m->stdin_pipe = popen(command, "we");
    for (int i = 0; m->stdin_pipe && i < 500; i++) {
        AUTO(file_closep) FILE *file = fopen(port_file, "re");
        int port = 0;
        if (file && fscanf(file, "%d", &port) == 1) {
            snprintf(m->host, sizeof m->host, "127.0.0.1:%d", port);
            return true;
        }
        usleep(20 * 1000);
    }
    return false;
}

static inline bool misbehaving_start(struct misbehaving *m)
{
    snprintf(m->folder, sizeof m->folder, "/tmp/slipway-misbehaving-XXXXXX");
    return mkdtemp(m->folder) && misbehaving_run(m, "");
}

/* As misbehaving_start, over TLS with a certificate of its own: FOLDER/pem. */
static inline bool misbehaving_start_tls(struct misbehaving *m)
{
    snprintf(m->folder, sizeof m->folder, "/tmp/slipway-misbehaving-XXXXXX");
    if (!mkdtemp(m->folder)) {
        return false;
    }
    AUTO(mem_freep)
    char *make = mem_printf("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                            "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
                            "-keyout %s/key -out %s/cert 2>/dev/null && cat %s/key %s/cert >%s/pem",
                            m->folder, m->folder, m->folder, m->folder, m->folder);
    AUTO(mem_freep) char *pem = mem_printf("%s/pem", m->folder);
    FILE *openssl = popen(make, "re");
    return openssl && pclose(openssl) == 0 && misbehaving_run(m, pem);
}

static inline void misbehaving_stop(struct misbehaving *m)
{
    struct error ignored = {0};
    if (m->stdin_pipe) {
        pclose(m->stdin_pipe);
    }
    file_remove_tree(AT_FDCWD, m->folder, &ignored);
}

#endif
