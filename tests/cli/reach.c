/*
 * Tries to connect to ADDRESS PORT in every way there is, and says for each whether that reached
 * it: what a RUN might do that wants the keys of the machine it is built on.
 *
 *     reach ADDRESS4 ADDRESS6 HARMLESS4 PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { PATIENCE_MS = 100, RACES = 100, RACE_SECONDS = 3 };

static struct sockaddr_in address4;
static struct sockaddr_in6 address6;
static struct sockaddr_in6 mapped;
static struct sockaddr_in harmless;

/* Whether FD, on which a connection was begun, comes to be connected. */
static bool arrives(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    return poll(&polled, 1, PATIENCE_MS) == 1 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 &&
           !(polled.revents & POLLERR);
}

static void report(const char *way, int fd, int result, int reason)
{
    bool reached = fd >= 0 && (result >= 0 || reason == EINPROGRESS) && arrives(fd);
    printf("%s %s: %s\n", reached ? "REACHED" : "kept off", way,
           reason ? strerror(reason) : "no error");
    if (fd >= 0) {
        close(fd);
    }
}

static void try_connect(const char *way, int domain, int protocol, const void *to, socklen_t len)
{
    int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, protocol);
    errno = fd < 0 ? errno : 0;
    int result = fd < 0 ? -1 : connect(fd, to, len);
    report(way, fd, result, result < 0 ? errno : 0);
}

static void try_fast_open(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ssize_t result =
        sendto(fd, "GET", 3, MSG_FASTOPEN, (struct sockaddr *)&address4, sizeof address4);
    report("fast open", fd, (int)result, result < 0 ? errno : 0);
}

/* Sockets with which a program could speak TCP by itself. */
static void try_raw(void)
{
    static const struct {
        const char *name;
        int domain, type, protocol;
    } ways[] = {{"raw", AF_INET, SOCK_RAW, IPPROTO_TCP},
                {"raw of version 6", AF_INET6, SOCK_RAW, IPPROTO_TCP},
                {"packets", AF_PACKET, SOCK_RAW, 0x0300},
                {"old packets", AF_INET, SOCK_PACKET, 0x0300}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        int fd = socket(ways[i].domain, ways[i].type, ways[i].protocol);
        printf("%s %s: %s\n", fd < 0 ? "kept off" : "REACHED", ways[i].name,
               fd < 0 ? strerror(errno) : "a socket");
        if (fd >= 0) {
            close(fd);
        }
    }
}

/* ---- an address that changes while it is looked at ---- */

static struct sockaddr_in moving;
static atomic_bool stop;

static void *move(void *unused)
{
    (void)unused;
    while (!stop) {
        *(volatile uint32_t *)&moving.sin_addr = address4.sin_addr.s_addr;
        *(volatile uint32_t *)&moving.sin_addr = harmless.sin_addr.s_addr;
    }
    return NULL;
}

static void try_race(void)
{
    pthread_t thread;
    int harmless_ones = 0;
    int refused = 0;
    int reached = 0;
    moving = harmless;
    pthread_create(&thread, NULL, move, NULL);
    /* Longer where the other thread does not come to run. */
    time_t end = time(NULL) + RACE_SECONDS;
    for (int i = 0; time(NULL) < end && (i < RACES || !harmless_ones || (!refused && !reached));
         i++) {
        sched_yield();
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof peer;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int result = connect(fd, (struct sockaddr *)&moving, sizeof moving);
        if (result < 0 && errno == EPERM) {
            refused++;
        } else if (arrives(fd) && getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
            bool there = peer.sin_addr.s_addr == address4.sin_addr.s_addr;
            reached += there;
            harmless_ones += !there;
        }
        close(fd);
    }
    stop = true;
    pthread_join(thread, NULL);
    printf("%s race: %s and %s\n", reached ? "REACHED" : "kept off",
           refused ? "some refused" : "none refused", harmless_ones ? "some elsewhere" : "none");
}

/* ---- as 32-bit programs do it ---- */

#ifdef __x86_64__
static int call32(int number, int a, int b, int c)
{
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

/* socketcall(CALL) with its words, which lie in the lower half of the memory. */
static int socketcall(uint32_t *words, int call, const uint32_t *arguments, size_t len)
{
    enum { SOCKETCALL = 102 };
    memcpy(words, arguments, len * sizeof *arguments);
    return call32(SOCKETCALL, call, (int)(intptr_t)words, 0);
}

static int socket32(uint32_t *words, int domain, int type)
{
    enum { CALL_SOCKET = 1 };
    const uint32_t arguments[] = {(uint32_t)domain, (uint32_t)type, 0};
    int fd = socketcall(words, CALL_SOCKET, arguments, 3);
    printf("32 bits have %s socket\n", fd >= 0 ? "a" : "no");
    return fd;
}

static void try_32(void)
{
    enum { SOCKET = 359, CONNECT = 362, CALL_CONNECT = 3, CALL_SENDTO = 11, CALL_SENDMSG = 16 };
    uint32_t *words =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct sockaddr_in *to = (struct sockaddr_in *)(words + 512);
    uint32_t low = (uint32_t)(intptr_t)to;
    const int type = SOCK_STREAM | SOCK_NONBLOCK;
    *to = address4;

    int fd = call32(SOCKET, AF_INET, type, 0);
    int result = call32(CONNECT, fd, (int)low, sizeof *to);
    report("32 bits", fd, result, result < 0 ? -result : 0);

    fd = socket32(words, AF_INET, type);
    const uint32_t connection[] = {(uint32_t)fd, low, sizeof *to};
    result = socketcall(words, CALL_CONNECT, connection, 3);
    report("32 bits, socketcall", fd, result, result < 0 ? -result : 0);

    fd = socket32(words, AF_INET, type);
    const uint32_t sending[] = {(uint32_t)fd, low, 3, MSG_FASTOPEN, low, sizeof *to};
    result = socketcall(words, CALL_SENDTO, sending, 6);
    report("32 bits, socketcall, fast open", fd, result, result < 0 ? -result : 0);

    fd = socket32(words, AF_INET, type);
    uint32_t *message = words + 256; /* struct msghdr, with one struct iovec behind it */
    const uint32_t parts[] = {low, sizeof *to, (uint32_t)(intptr_t)(message + 7), 1, 0, 0, 0,
                              low, 3};
    memcpy(message, parts, sizeof parts);
    const uint32_t sent[] = {(uint32_t)fd, (uint32_t)(intptr_t)message, MSG_FASTOPEN};
    result = socketcall(words, CALL_SENDMSG, sent, 3);
    report("32 bits, socketcall, fast open of a message", fd, result, result < 0 ? -result : 0);

    socket32(words, AF_UNIX, SOCK_STREAM);
    const uint32_t raw[] = {AF_INET, SOCK_RAW, IPPROTO_TCP};
    fd = socketcall(words, 1, raw, 3);
    printf("%s 32 bits, socketcall, raw\n", fd < 0 ? "kept off" : "REACHED");
    fd = call32(SOCKET, AF_PACKET, SOCK_RAW, 0x0300);
    printf("%s 32 bits, packets\n", fd < 0 ? "kept off" : "REACHED");
}
#else
static void try_32(void)
{
}
#endif

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    uint16_t port = htons((uint16_t)strtol(argv[4], NULL, 10));
    char text[64];
    address4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    harmless = address4;
    address6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    mapped = address6;
    snprintf(text, sizeof text, "::ffff:%s", argv[1]);
    if (inet_pton(AF_INET, argv[1], &address4.sin_addr) != 1 ||
        inet_pton(AF_INET6, argv[2], &address6.sin6_addr) != 1 ||
        inet_pton(AF_INET6, text, &mapped.sin6_addr) != 1 ||
        inet_pton(AF_INET, argv[3], &harmless.sin_addr) != 1) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    try_connect("version 4", AF_INET, 0, &address4, sizeof address4);
    try_connect("version 6", AF_INET6, 0, &address6, sizeof address6);
    try_connect("version 4 in 6", AF_INET6, 0, &mapped, sizeof mapped);
    try_connect("multipath", AF_INET, IPPROTO_MPTCP, &address4, sizeof address4);
    try_fast_open();
    try_raw();
    try_race();
    try_32();
    return 0;
}
