/* Who the command is: groups, ids and Docker's default capabilities. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "builder/sandbox_internal.h"

static const cap_value_t kept[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,           CAP_FSETID,  CAP_KILL,
    CAP_SETGID, CAP_SETUID,       CAP_SETPCAP,          CAP_NET_RAW, CAP_SYS_CHROOT,
    CAP_MKNOD,  CAP_AUDIT_WRITE,  CAP_NET_BIND_SERVICE, CAP_SETFCAP,
};

static bool is_kept(int cap)
{
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        if (kept[i] == cap) {
            return true;
        }
    }
    return false;
}

/* What can never be had again, not even by a setuid program. */
static int bound(struct error *err)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return error_errno(err, ERR_ISOLATION, "drop capability %d", cap);
        }
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return 0;
}

static void free_caps(cap_t *caps)
{
    if (*caps) {
        cap_free(*caps);
    }
}

bool sandbox_may_trace(void)
{
    AUTO(free_caps) cap_t now = cap_get_proc();
    cap_flag_value_t have = CAP_CLEAR;
    return now && cap_get_flag(now, CAP_SYS_PTRACE, CAP_EFFECTIVE, &have) == 0 && have == CAP_SET;
}

/* Permitted and effective are what is kept of what we have; nothing is inheritable. */
static int keep(struct error *err)
{
    AUTO(free_caps) cap_t now = cap_get_proc();
    AUTO(free_caps) cap_t then = cap_init();
    if (!now || !then) {
        return error_errno(err, ERR_ISOLATION, "read capabilities");
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        cap_flag_value_t have = CAP_CLEAR;
        cap_get_flag(now, kept[i], CAP_PERMITTED, &have);
        if (have == CAP_SET) {
            cap_set_flag(then, CAP_PERMITTED, 1, &kept[i], CAP_SET);
            cap_set_flag(then, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
        }
    }
    return cap_set_proc(then) == 0 ? 0 : error_errno(err, ERR_ISOLATION, "set capabilities");
}

static int fail_id(const char *what, uint32_t id, struct error *err)
{
    if (errno == EINVAL) {
        return error_set(err, ERR_ISOLATION,
                         "%s %u does not exist in this user namespace: /etc/subuid and "
                         "/etc/subgid have too few ids for this user (as root: 'usermod "
                         "--add-subuids 100000-165535 --add-subgids 100000-165535 USER')",
                         what, id);
    }
    return error_errno(err, ERR_ISOLATION, "become %s %u", what, id);
}

int sandbox_become(const struct sandbox_spec *spec, struct error *err)
{
    /* With only our own id mapped, the kernel forbids setgroups: the groups we have stay. */
    if (setgroups(spec->groups_len, spec->groups) != 0 &&
        (errno != EPERM || spec->groups_len > 0)) {
        return errno == EPERM || errno == EINVAL
                   ? error_set(err, ERR_ISOLATION, "set supplementary groups: %s",
                               SANDBOX_ONE_ID_HINT)
                   : error_errno(err, ERR_ISOLATION, "set supplementary groups");
    }
    if (bound(err) != 0) {
        return -1;
    }
    if (setresgid(spec->gid, spec->gid, spec->gid) != 0) {
        return fail_id("group", spec->gid, err);
    }
    if (spec->uid == 0 && keep(err) != 0) {
        return -1;
    }
    /* For another user than root, this clears permitted and effective. */
    if (setresuid(spec->uid, spec->uid, spec->uid) != 0) {
        return fail_id("user", spec->uid, err);
    }
    return 0;
}
