/*
 * Connects to sockets in the file system as an ordinary user, by names that mean something only
 * where it is, and says who came and why not. To be run as root in a folder of its own.
 *
 *     local         all that
 *     local wait    leaves a child behind that waits for a connection
 */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* NAME as an address; one that begins with '@' is no file's. */
static socklen_t address_of(const char *name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    strncpy(out->sun_path, name, sizeof out->sun_path - 1);
    if (name[0] != '@') {
        return sizeof *out;
    }
    out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

static int listen_at(const char *name)
{
    struct sockaddr_un address;
    socklen_t len = address_of(name, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 5) == 0 ? fd : -1;
}

static void connect_to(const char *name)
{
    struct sockaddr_un address;
    socklen_t len = address_of(name, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)&address, len);
    printf("%s: %s\n", name, result == 0 ? "connected" : strerror(errno));
    close(fd);
}

static void say_who(int server)
{
    struct ucred who = {0};
    socklen_t len = sizeof who;
    int fd = accept(server, NULL, NULL);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
    printf("came: %u:%u\n", (unsigned)who.uid, (unsigned)who.gid);
    close(fd);
}

static void rung(int signal)
{
    (void)signal;
}

/* Addresses that are none, and from a thread. */
static void *connect_oddly(void *unused)
{
    (void)unused;
    for (socklen_t len = 0; len < 4; len++) {
        struct sockaddr_un address;
        address_of("/none", &address);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        int result = connect(fd, (struct sockaddr *)&address, len);
        printf("%u bytes: %s\n", (unsigned)len, result == 0 ? "connected" : strerror(errno));
        close(fd);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)-1, 110);
    printf("no address: %s\n", result == 0 ? "connected" : strerror(errno));
    result = connect(fd, (struct sockaddr *)&fd, 200);
    printf("too long: %s\n", result == 0 ? "connected" : strerror(errno));
    result = connect(12345, (struct sockaddr *)&fd, 2);
    printf("no descriptor: %s\n", result == 0 ? "connected" : strerror(errno));
    result = connect(STDOUT_FILENO, (struct sockaddr *)&fd, 2);
    printf("no socket: %s\n", result == 0 ? "connected" : strerror(errno));
    close(fd);
    return NULL;
}

static void connect_in_pieces(void)
{
    pthread_t thread;
    connect_oddly(NULL);
    pthread_create(&thread, NULL, connect_oddly, NULL);
    pthread_join(thread, NULL);
}

/* A queue that is full makes connect() wait. Returns what that ends with. */
static int fill(const char *name, const struct itimerval *patience)
{
    struct sockaddr_un address;
    socklen_t len = address_of(name, &address);
    int result = 0;
    for (int i = 0; i < 20 && result == 0; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        setitimer(ITIMER_REAL, patience, NULL);
        result = connect(fd, (struct sockaddr *)&address, len);
    }
    return result;
}

static void wait_until_alarm(const char *name)
{
    struct sigaction action = {.sa_handler = rung};
    struct itimerval soon = {.it_value = {.tv_usec = 200000}};
    sigaction(SIGALRM, &action, NULL);
    int result = fill(name, &soon);
    printf("a full queue: %s\n", result == 0 ? "never" : strerror(errno));
}

int main(int argc, char **argv)
{
    const gid_t group = 2000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("open", 0755);
    mkdir("closed", 0700);
    int here = listen_at("open/socket");
    int closed = listen_at("closed/socket");
    int nowhere = listen_at("@slipway-test-of-sockets");
    int full = listen_at("open/full");
    if (here < 0 || closed < 0 || nowhere < 0 || full < 0 || chmod("open/socket", 0660) != 0 ||
        chown("open/socket", 0, group) != 0 || chmod("open/full", 0666) != 0) {
        return 2;
    }
    if (argc > 1 && strcmp(argv[1], "wait") == 0) {
        if (fork() == 0) {
            const struct itimerval never = {0};
            return fill("open/full", &never);
        }
        sleep(1);
        printf("waits in vain\n");
        return 0;
    }
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(1, &group) != 0 || setresgid(1000, 1000, 1000) != 0 ||
            setresuid(1000, 1000, 1000) != 0) {
            return 3;
        }
        connect_to("open/socket");
        connect_to("closed/socket");
        connect_to("missing/socket");
        connect_to("open");
        connect_to("@slipway-test-of-sockets");
        connect_in_pieces();
        wait_until_alarm("open/full");
        return 0;
    }
    say_who(here);
    say_who(nowhere);
    int status = 1;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
