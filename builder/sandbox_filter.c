/* Puts the filter of system calls in force. It is made once by the program (sandbox_seccomp.c):
 * that takes longer than all else that a small RUN needs of the processor. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* What would be asked, where nobody is there to answer. */
static void allow_questions(struct sock_filter *code, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (code[i].code == (BPF_RET | BPF_K) && code[i].k == SECCOMP_RET_USER_NOTIF) {
            code[i].k = SECCOMP_RET_ALLOW;
        }
    }
}

/* The first of FLAGS that the kernel takes; -1 with errno where it takes none. */
static int load_filter(const unsigned *flags, size_t flags_len, const struct sock_fprog *program)
{
    int result = -1;
    for (size_t i = 0; i < flags_len && result < 0; i++) {
        result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], program);
        if (result < 0 && errno != EINVAL) {
            break;
        }
    }
    return result;
}

int sandbox_filter_calls(const struct sandbox_job *job, bool ask, int *listener_out,
                         struct error *err)
{
    const size_t one = sizeof(struct sock_filter);
    if (!job->filter || job->filter_len == 0 || job->filter_len % one != 0 ||
        job->filter_len / one > BPF_MAXINSNS) {
        return error_set(err, ERR_ISOLATION, "seccomp: the filter is damaged");
    }
    /* A copy, as it lies anywhere in the job. */
    AUTO(mem_freep) struct sock_filter *code = mem_dup(job->filter, job->filter_len);
    const struct sock_fprog program = {.len = (unsigned short)(job->filter_len / one),
                                       .filter = code};
    /* Without SPEC_ALLOW, kernels up to 5.15 slow the whole process down; before 4.17 there is no
     * such flag. */
    const unsigned asking[] = {SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER};
    const unsigned alone[] = {SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0};
    *listener_out = ask ? load_filter(asking, ARRAY_LEN(asking), &program) : -1;
    if (*listener_out >= 0) {
        return 0;
    }
    int why = errno;
    allow_questions(code, program.len);
    if (load_filter(alone, ARRAY_LEN(alone), &program) != 0) {
        return error_errno(err, ERR_ISOLATION, "seccomp: load the filter");
    }
    errno = why;
    return 0;
}
