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

int sandbox_filter_calls(const struct sandbox_job *job, struct error *err)
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
    /* Without the flag, kernels up to 5.15 slow the whole process down; before 4.17 there is none.
     */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) ==
            0 ||
        (errno == EINVAL && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)) {
        return 0;
    }
    return error_errno(err, ERR_ISOLATION, "seccomp: load the filter");
}
