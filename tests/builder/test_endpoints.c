#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* errno of a connect to ADDRESS. */
static int connect_to(const char *address)
{
    bool six = strchr(address, ':') != NULL;
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(1)};
    if (inet_pton(six ? AF_INET6 : AF_INET, address,
                  six ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr) != 1) {
        return EINVAL;
    }
    AUTO(fd_closep)
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr *to = six ? (const struct sockaddr *)&a6 : (const struct sockaddr *)&a4;
    return connect(fd, to, six ? sizeof a6 : sizeof a4) == 0 ? 0 : errno;
}

enum { NO_RIGHTS = 77 };

/* 0, or the number of the case that is wrong. */
static int try_all(void)
{
    static const struct {
        const char *address;
        bool refused;
    } cases[] = {{"169.254.169.254", true},      {"169.254.170.2", true},
                 {"169.254.170.23", true},       {"::ffff:169.254.169.254", true},
                 {"::ffff:169.254.170.2", true}, {"::ffff:169.254.170.23", true},
                 {"fd00:ec2::254", true},        {"fd00:ec2::23", true},
                 {"169.254.169.253", false}, /* the resolver of a VPC */
                 {"127.0.0.1", false},           {"::1", false},
                 {"::ffff:127.0.0.1", false},    {"fd00:ec2::253", false},
                 {"fd00:ec2:1::254", false},     {"254.169.254.169", false}};
    int wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if ((connect_to(cases[i].address) == EPERM) != cases[i].refused) {
            wrong = (int)i + 1;
        }
    }
    return wrong;
}

static int status_of(pid_t child)
{
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* 0, NO_RIGHTS, or what is wrong. */
static int try_guarded(void)
{
    struct sandbox_guard guard = SANDBOX_GUARD_NONE;
    if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || !sandbox_guard_open(&guard)) {
        return NO_RIGHTS;
    }
    int folder = dup(guard.folder);
    char name[sizeof guard.name];
    memcpy(name, guard.name, sizeof name);
    pid_t child = sandbox_guard_fork(&guard);
    if (child == 0) {
        _exit(try_all());
    }
    int wrong = status_of(child);
    if (wrong == 0 && connect_to("169.254.169.254") == EPERM) {
        wrong = 50; /* only the child is in the group */
    }
    /* One whose owner was killed is removed by the next; one that is in use is not. */
    struct sandbox_guard second = SANDBOX_GUARD_NONE;
    struct sandbox_guard third = SANDBOX_GUARD_NONE;
    bool made = sandbox_guard_open(&second);
    if (wrong == 0 && (!made || faccessat(folder, name, F_OK, 0) != 0)) {
        wrong = 51;
    }
    close(guard.group);
    close(guard.folder);
    if (wrong == 0 && (!sandbox_guard_open(&third) || faccessat(folder, name, F_OK, 0) == 0 ||
                       faccessat(folder, second.name, F_OK, 0) != 0)) {
        wrong = 52;
    }
    memcpy(name, third.name, sizeof name);
    sandbox_guard_close(&second);
    sandbox_guard_close(&third);
    if (wrong == 0 && faccessat(folder, name, F_OK, 0) == 0) {
        wrong = 53; /* the group is removed */
    }
    return wrong;
}

static void test_endpoints__keys_are_out_of_reach(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        _exit(try_guarded());
    }
    int status = status_of(child);
    if (status == NO_RIGHTS) {
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_endpoints__keys_are_out_of_reach)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
