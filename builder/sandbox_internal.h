/*
 * What the sandbox's files share. One RUN is a chain of three processes:
 *
 *     slipway -- sandbox_run()       writes the job into a memfd, starts "__sandbox", reads the
 *                                    output, the outcome, and afterwards the difference
 *       outer -- sandbox_main()      new namespaces; mounts the layers; waits for init; makes the
 *                                    command's connections (sandbox_connect.c)
 *         init -- sandbox_init()     pid 1 of the new pid namespace: the other mounts, pivot_root;
 *                                    reaps and forwards signals
 *           the command
 *
 * Each dies with its parent (PR_SET_PDEATHSIG), and the kernel ends the whole pid namespace with
 * init, and the mounts with the last process, so that nothing can be left behind.
 */
#ifndef SLIPWAY_BUILDER_SANDBOX_INTERNAL_H
#define SLIPWAY_BUILDER_SANDBOX_INTERNAL_H

#include <sys/types.h>

#include "base/buf.h"
#include "builder/sandbox.h"

/* Descriptors of the outer process; standard input is the command's (or /dev/null). */
enum { SANDBOX_FD_JOB = 3, SANDBOX_FD_CONTROL = 4, SANDBOX_FD_OUTPUT = 5, SANDBOX_FDS = 6 };

/* The name of the machine that a RUN sees: the same everywhere, and BuildKit's, as programs write
 * it into what they build. */
#define SANDBOX_HOSTNAME "buildkitsandbox"

/* The hidden command ("PROGRAM __sandbox PARENT-PID [probe]"), and the word that asks only for a
 * probe. */
#define SANDBOX_COMMAND "__sandbox"
#define SANDBOX_PROBE "probe"

/* The marker in the environment of a program that sandbox_enter() re-executed; its value says
 * whether more than our own id is mapped. */
#define SANDBOX_INSIDE "_SLIPWAY_INSIDE"

/* Where no subordinate ids are: what to tell. */
#define SANDBOX_ONE_ID_HINT                                                                        \
    "this user has no subordinate ids, so that only uid 0 exists in a RUN: as root, "              \
    "'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER' and install uidmap"

/* Everything the child needs. Strings are borrowed: by the writer from the caller, by the reader
 * from the bytes it was read from. */
struct sandbox_job {
    enum sandbox_rung rung;
    const char *store;  /* absolute: paths are opened anew, as overlayfs takes only folders of its
                           own mount namespace */
    const char *work;   /* relative to the store: folders upper, work, scaffold, empty, root */
    const void *filter; /* seccomp's program, see sandbox_filter_program() */
    size_t filter_len;  /* bytes */
    struct sandbox_spec spec; /* without events and stdin */
};

/* A job as bytes, and back. The reader allocates arrays that live as long as the process. */
void sandbox_job_write(const struct sandbox_job *job, struct buf *out);
int sandbox_job_read(const char *data, size_t len, struct sandbox_job *out, struct error *err);

/* What the children tell through the control socket. */
enum sandbox_message_type {
    SANDBOX_VIEW,      /* a descriptor comes along: the lower layers, merged */
    SANDBOX_LISTENER,  /* a descriptor comes along, for sandbox_answer() (to the outer process) */
    SANDBOX_UNGUARDED, /* the endpoints that hand out keys are within the command's reach: `error`
                          says why */
    SANDBOX_EXITED,    /* the command ended with `status` */
    SANDBOX_FAILED,    /* it could not be started: `error` */
};
struct sandbox_message {
    enum sandbox_message_type type;
    int status;
    struct error error;
};
/* Sends; FD -1: none. */
int sandbox_send(int control, const struct sandbox_message *message, int fd, struct error *err);
/* Sends SANDBOX_UNGUARDED to the program. */
int sandbox_tell_unguarded(const char *why, struct error *err);
/* Receives; *MORE_OUT false at the end. *FD_OUT is the caller's, -1 where none came. */
int sandbox_receive(int control, struct sandbox_message *message, int *fd_out, bool *more_out,
                    struct error *err);

/* An overlay mount that is attached nowhere yet. Folders are descriptors of this mount namespace.
 */
struct overlay_layers {
    const int *lowers; /* topmost first, at least one (two where UPPER is -1) */
    size_t lowers_len;
    int upper; /* -1: read-only */
    int work;
    int scratch;      /* an empty folder for helpers of old kernels' interface */
    bool user_xattrs; /* in a user namespace */
};
int overlay_mount(const struct overlay_layers *layers, int *mount_out, struct error *err);

/* The folders of a job, opened by sandbox_main(). */
struct sandbox_root {
    int work; /* the job's folder */
    int view; /* the lower layers merged, read-only */
    int root; /* the overlay that the command will see, attached at work/root */
    /* Where the mounts go, links followed (tree form): TARGET_PROC ..., then the job's own mounts.
     */
    struct strlist targets;
};

enum { TARGET_PROC, TARGET_SYS, TARGET_DEV, TARGET_RESOLV, TARGET_HOSTS, TARGETS_FIXED };

/* Mounts VIEW and ROOT. Missing mount points are made in a layer of their own on top of the lower
 * ones, so that they never show up in the upper folder. */
int sandbox_mount_root(const struct sandbox_job *job, struct sandbox_root *root, struct error *err);

/* Finds the targets of all mounts in root->view and makes the missing ones below the folder
 * SCAFFOLD, whose folders look like those that they will lie over. *USED_OUT: whether anything was
 * made. */
int sandbox_make_targets(const struct sandbox_spec *spec, struct sandbox_root *root, int scaffold,
                         bool *used_out, struct error *err);

/* Gives the folder TO the owner, mode, extended attributes and times of the folder FROM. */
int sandbox_copy_attributes(int from, int to, struct error *err);

/* Mounts /proc, /sys, /dev, resolv.conf, hosts and the job's own mounts below root->root. */
int sandbox_mount_all(const struct sandbox_job *job, struct sandbox_root *root, struct error *err);

/* Mounts a new /dev over the folder TARGET: the usual nodes, pts, shm, mqueue, links. */
int sandbox_mount_dev(int target, struct error *err);

/* Makes root->root the root and forgets the old one. */
int sandbox_pivot(const struct sandbox_root *root, struct error *err);

/* A new file system attached nowhere yet; OPTIONS are KEY, VALUE pairs (VALUE NULL: a flag) ended
 * by NULL; ATTRIBUTES are MOUNT_ATTR_*. */
int mount_new(const char *type, const char *const *options, unsigned attributes, int *mount_out,
              struct error *err);
/* Attaches MOUNT at what TARGET (O_PATH) is; NAME is for messages. */
int mount_attach(int mount, int target, const char *name, struct error *err);
/* A copy of the mount at PATH (what lies below comes along where it must), with ATTRIBUTES added.
 */
int mount_copy(int dirfd, const char *path, unsigned attributes, int *mount_out, struct error *err);
/* Opens PATH inside ROOT (no way out of it), O_PATH. */
int mount_open_target(int root, const char *path, int *fd_out, struct error *err);

/* Docker's default capabilities, and whose they are: ends as UID:GID with GROUPS. */
int sandbox_become(const struct sandbox_spec *spec, struct error *err);

/* Whether this process may look into others (CAP_SYS_PTRACE). */
bool sandbox_may_trace(void);

/* The filter of system calls as a BPF program for this kind of machine: Docker's default; fsync and
 * the like do nothing. Made once; borrowed for good. Any thread. */
int sandbox_filter_program(const void **data_out, size_t *len_out, struct error *err);

/* Puts JOB's filter in force for this process. Needs CAP_SYS_ADMIN. ASK: *LISTENER_OUT (the
 * caller's, see seccomp_unotify(2)) is where the questions for sandbox_answer() come; -1 with errno
 * where the kernel gives none, and then every connection is allowed, as without ASK. */
int sandbox_filter_calls(const struct sandbox_job *job, bool ask, int *listener_out,
                         struct error *err);

/* Starts a child that answers what comes on LISTENER, as long as this process lives. PROC: the
 * /proc in which this process is, as the root may have changed. Returns whether there is one. */
bool sandbox_answer(int listener, int proc);

/* Whether the socket address (LEN bytes, any alignment) is an endpoint that hands out keys. */
bool sandbox_is_endpoint(const void *address, size_t len);

/* Brings up the loopback interface of a new network namespace. */
int sandbox_loopback_up(struct error *err);

/* Starts PROGRAM __sandbox with FDS as its descriptors 0, 1, ... (-1: closed); WORD may be NULL. */
int sandbox_spawn(const int *fds, size_t fds_len, const char *word, pid_t *pid_out,
                  struct error *err);

/* What "__sandbox probe" does: tries namespaces and an overlay, writes the reason to standard
 * output where that is refused. Returns the exit status. */
int sandbox_probe_main(void);

/* Process 1: never returns. CHANNEL goes to the outer process (-1: none). */
_Noreturn void sandbox_init(const struct sandbox_job *job, struct sandbox_root *root, int channel);

/* In the process that becomes the command: never returns. Sends SANDBOX_LISTENER into CHANNEL. */
_Noreturn void sandbox_exec(const struct sandbox_job *job, int channel);

#endif
