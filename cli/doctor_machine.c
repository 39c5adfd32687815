/* What RUN gets, and where the store lies. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox.h"
#include "cli/doctor.h"
#include "cli/text.h"

/* The number in PATH, or OTHER. */
static long read_number(const char *path, long other)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool found = false;
    if (file_read(AT_FDCWD, path, LIMIT_TEXT_FILE_BYTES, &text, &found, &ignored) != 0 || !found) {
        return other;
    }
    return strtol(buf_text(&text), NULL, 10);
}

/* Whether a seccomp filter is on us, as containers have it. */
static bool is_filtered(void)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    return file_read(AT_FDCWD, "/proc/self/status", LIMIT_TEXT_FILE_BYTES, &text, NULL, &ignored) ==
               0 &&
           strstr(buf_text(&text), "\nSeccomp:\t2") != NULL;
}

/* The one setting that would let a RUN be isolated, where WHY is the kernel's answer. */
static char *setting_for(const char *why)
{
    static const char words[] = "give this container ";
    const char *given = strstr(why, words);
    if (given) {
        return mem_strndup(given, strcspn(given, ","));
    }
    if (read_number("/proc/sys/user/max_user_namespaces", 1) == 0) {
        return mem_strdup("as root: sysctl -w user.max_user_namespaces=15000");
    }
    if (read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0) {
        return mem_strdup("as root: sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) != 0) {
        return mem_strdup("as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    }
    return is_filtered() ? mem_strdup("give this container --security-opt seccomp=unconfined")
                         : NULL;
}

/* Who we are outside of the user namespace that sandbox_enter() made. */
static uid_t outer_uid(void)
{
    AUTO(buf_release) struct buf map = BUF_INIT(0);
    struct error ignored = {0};
    unsigned inside = 0;
    unsigned outside = 0;
    if (file_read(AT_FDCWD, "/proc/self/uid_map", LIMIT_TEXT_FILE_BYTES, &map, NULL, &ignored) !=
            0 ||
        sscanf(buf_text(&map), "%u %u", &inside, &outside) != 2 || inside != 0) {
        return getuid();
    }
    return getuid() + outside;
}

/* How many ids FILE gives to the user. */
static unsigned long count_ids(const char *file, const char *user, uid_t uid)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    unsigned long sum = 0;
    bool found = false;
    if (file_read(AT_FDCWD, file, LIMIT_TEXT_FILE_BYTES, &text, &found, &ignored) != 0 || !found) {
        return 0;
    }
    char *rest = NULL;
    char *data = mem_strdup(buf_text(&text));
    for (char *line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[256];
        char number[24];
        unsigned long count = 0;
        snprintf(number, sizeof number, "%u", uid);
        if (sscanf(line, "%255[^:]:%*u:%lu", name, &count) == 2 &&
            (strcmp(name, user) == 0 || strcmp(name, number) == 0)) {
            sum += count;
        }
    }
    free(data);
    return sum;
}

static bool has_tools(void)
{
    return (access("/usr/bin/newuidmap", X_OK) == 0 || access("/bin/newuidmap", X_OK) == 0) &&
           (access("/usr/bin/newgidmap", X_OK) == 0 || access("/bin/newgidmap", X_OK) == 0);
}

static void look_at_ids(struct findings *findings, bool root)
{
    static const char check[] = "subordinate ids";
    if (root) {
        findings_add(findings, check, FINDING_OK, mem_strdup("not needed: root has all ids"), NULL);
        return;
    }
    uid_t uid = outer_uid();
    const struct passwd *entry = getpwuid(uid);
    AUTO(mem_freep) char *user = entry ? mem_strdup(entry->pw_name) : mem_printf("%u", uid);
    unsigned long uids = count_ids("/etc/subuid", user, uid);
    unsigned long gids = count_ids("/etc/subgid", user, uid);
    char *text = mem_printf("%s has %lu in /etc/subuid and %lu in /etc/subgid", user, uids, gids);
    if (uids == 0 || gids == 0) {
        findings_add(findings, check, FINDING_NOTE, text,
                     mem_printf("as root: usermod --add-subuids 100000-165535 --add-subgids "
                                "100000-165535 %s",
                                user));
    } else if (!has_tools()) {
        findings_add(findings, check, FINDING_NOTE, text,
                     mem_strdup("install newuidmap and newgidmap (package uidmap)"));
    } else {
        findings_add(findings, check, FINDING_OK, text, NULL);
    }
}

/* Returns the rung. */
static enum sandbox_rung look_at_run(struct findings *findings)
{
    static const char check[] = "RUN";
    enum sandbox_rung rung = RUNG_NONE;
    AUTO(mem_freep) char *why = NULL;
    struct error err = {0};
    if (sandbox_probe(&rung, &why, &err) != 0) {
        findings_add(findings, check, FINDING_PROBLEM, mem_strdup(err.text), NULL);
        return RUNG_NONE;
    }
    if (rung == RUNG_NONE) {
        findings_add(findings, check, FINDING_PROBLEM,
                     mem_printf("no isolation, so that RUN is an error (builds without RUN work): "
                                "%s",
                                why ? why : "the kernel does not say why"),
                     why ? setting_for(why) : NULL);
    } else if (rung == RUNG_OVERLAY) {
        findings_add(findings, check, FINDING_OK, mem_strdup("overlay, the best: this is root"),
                     NULL);
    } else if (why) {
        findings_add(findings, check, FINDING_NOTE, mem_printf("userns: %s", why), NULL);
    } else {
        findings_add(findings, check, FINDING_OK,
                     mem_strdup("userns: in a user namespace with subordinate ids; the same layers "
                                "as root's (overlay is for root only)"),
                     NULL);
    }
    return rung;
}

static void look_at_guard(struct findings *findings)
{
    const char *setting = NULL;
    const char *why = sandbox_cannot_guard(&setting);
    findings_add(findings, "key endpoints", why ? FINDING_NOTE : FINDING_OK,
                 why ? mem_printf("a RUN can reach the addresses where AWS hands out keys: %s", why)
                     : mem_strdup("out of a RUN's reach"),
                 mem_strdup(setting));
}

static const char *file_system(const struct store *store)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } known[] = {{EXT4_SUPER_MAGIC, "ext4"},         {XFS_SUPER_MAGIC, "xfs"},
                 {BTRFS_SUPER_MAGIC, "btrfs"},       {TMPFS_MAGIC, "tmpfs"},
                 {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
                 {FUSE_SUPER_MAGIC, "fuse"},         {V9FS_MAGIC, "9p"},
                 {F2FS_SUPER_MAGIC, "f2fs"},         {0x2fc12fc1, "zfs"}};
    struct statfs fs;
    if (fstatfs(store_fd(store), &fs) != 0) {
        return "an unknown file system";
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if ((unsigned long)fs.f_type == known[i].magic) {
            return known[i].name;
        }
    }
    return "an unknown file system";
}

static void look_at_room(const struct store *store, struct findings *findings)
{
    const uint64_t little = 1000000000;
    struct statvfs fs;
    char free_text[TEXT_SIZE_SIZE];
    char all_text[TEXT_SIZE_SIZE];
    if (fstatvfs(store_fd(store), &fs) != 0) {
        findings_add(findings, "store", FINDING_PROBLEM,
                     mem_printf("%s: %s", store_path(store), strerror(errno)), NULL);
        return;
    }
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t all = (uint64_t)fs.f_blocks * fs.f_frsize;
    findings_add(findings, "store", left < little ? FINDING_NOTE : FINDING_OK,
                 mem_printf("%s on %s, %s free of %s", store_path(store), file_system(store),
                            text_bytes(left, free_text), text_bytes(all, all_text)),
                 left < little ? mem_strdup("slipway prune") : NULL);
}

static void look_at_overlay(struct store *store, enum sandbox_rung rung, struct findings *findings)
{
    static const char check[] = "overlay in store";
    AUTO(mem_freep) char *why = NULL;
    struct error err = {0};
    if (rung == RUNG_NONE) {
        findings_add(findings, check, FINDING_NOTE, mem_strdup("not tried, as no RUN is possible"),
                     NULL);
    } else if (sandbox_probe_store(store, rung, &why, &err) != 0) {
        findings_add(findings, check, FINDING_PROBLEM, mem_strdup(err.text), NULL);
    } else if (why) {
        findings_add(findings, check, FINDING_PROBLEM,
                     mem_printf("refused on %s: %s: RUN will fail", file_system(store), why),
                     mem_strdup("set SLIPWAY_HOME to a folder on ext4, xfs or btrfs (in a "
                                "container: on a volume)"));
    } else {
        findings_add(findings, check, FINDING_OK, mem_strdup("works"), NULL);
    }
}

void doctor_machine(struct findings *findings)
{
    enum sandbox_rung rung = look_at_run(findings);
    AUTO(store_freep) struct store *store = NULL;
    struct error err = {0};
    if (rung != RUNG_NONE) {
        look_at_guard(findings);
    }
    look_at_ids(findings, rung == RUNG_OVERLAY || (geteuid() == 0 && outer_uid() == 0));
    if (store_open(NULL, &store, &err) != 0) {
        findings_add(findings, "store", FINDING_PROBLEM, mem_strdup(err.text),
                     mem_strdup("set SLIPWAY_HOME to a folder that can be written"));
        return;
    }
    look_at_room(store, findings);
    look_at_overlay(store, rung, findings);
}
