/*
 * RUN in a root made of one layer: busybox. Skipped, with a word, where this process gets no rung.
 * The program itself is re-executed as the sandbox, and as an ordinary user inside a user
 * namespace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox.h"

#define BUSYBOX "/bin/busybox"

struct setting {
    char folder[64];
    struct store *store;
    enum sandbox_rung rung;
    char *base; /* the unpacked layer */
};

static struct setting setting;

#define OK(CALL)                                                                                   \
    do {                                                                                           \
        struct error err = {0};                                                                    \
        if ((CALL) != 0) {                                                                         \
            fail_msg("%s: %s", #CALL, err.text);                                                   \
        }                                                                                          \
    } while (0)

static void write_file(int dir, const char *path, const char *text, mode_t mode)
{
    struct error err = {0};
    AUTO(mem_freep) char *parent = mem_strdup(path);
    char *slash = strrchr(parent, '/');
    if (slash) {
        *slash = '\0';
        assert_int_equal(file_make_dirs(dir, parent, 0755, &err), 0);
    }
    AUTO(fd_closep) int fd = -1;
    assert_int_equal(file_open(dir, path, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd, &err), 0);
    assert_int_equal(file_write_fd(fd, path, text, strlen(text), &err), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void copy_busybox(int dir)
{
    struct error err = {0};
    AUTO(buf_release) struct buf program = BUF_INIT(0);
    assert_int_equal(file_read(AT_FDCWD, BUSYBOX, 16u << 20, &program, NULL, &err), 0);
    AUTO(fd_closep) int fd = -1;
    mkdirat(dir, "bin", 0755);
    assert_int_equal(file_open(dir, "bin/busybox", O_WRONLY | O_CREAT, 0755, &fd, &err), 0);
    assert_int_equal(file_write_fd(fd, "busybox", program.data, program.len, &err), 0);
    static const char *const names[] = {
        "sh",   "cat",   "echo",   "mkdir",    "rm",    "ls",     "chmod", "chown", "id",
        "grep", "touch", "ln",     "mv",       "sleep", "stat",   "test",  "true",  "mount",
        "sync", "mknod", "cp",     "hostname", "umask", "ps",     "kill",  "seq",   "mkfifo",
        "ip",   "rmdir", "printf", "env",      "nproc", "unshare"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "bin/%s", names[i]);
        assert_int_equal(symlinkat("busybox", dir, path), 0);
    }
}

/* Makes folder CONTENT (relative to the store) a layer whose diff id is the hash of NAME. */
static char *adopt(const char *name, const char *content)
{
    struct digest id;
    char hex[DIGEST_HEX_SIZE];
    bool moved = false;
    enum unpack_style style = sandbox_style(setting.rung);
    digest_of(name, strlen(name), &id);
    OK(unpack_adopt(setting.store, &id, style, content, 1000000000, &moved, &err));
    assert_true(moved);
    return mem_printf("unpacked/%s/%s/root", style == UNPACK_OVERLAY ? "overlay" : "user",
                      digest_hex(&id, hex));
}

static int open_temp(char **path_out)
{
    int fd = -1;
    OK(store_temp_dir(setting.store, path_out, &err));
    OK(file_open(store_fd(setting.store), *path_out, O_RDONLY | O_DIRECTORY, 0, &fd, &err));
    assert_int_equal(fchmod(fd, 0755), 0);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    AUTO(mem_freep) char *path = NULL;
    snprintf(setting.folder, sizeof setting.folder, "/tmp/test-sandbox-XXXXXX");
    assert_non_null(mkdtemp(setting.folder));
    OK(store_open(setting.folder, &setting.store, &err));
    AUTO(fd_closep) int dir = open_temp(&path);
    copy_busybox(dir);
    write_file(dir, "etc/passwd", "root:x:0:0::/:/bin/sh\n", 0644);
    write_file(dir, "etc/keep", "kept\n", 0644);
    write_file(dir, "opt/a/one", "1\n", 0644);
    write_file(dir, "opt/a/two", "2\n", 0644);
    write_file(dir, "opt/a/sub/three", "3\n", 0644);
    static const struct timespec old[2] = {{.tv_sec = 1500000000}, {.tv_sec = 1500000000}};
    static const char *const dressed[] = {"opt/a/sub", "opt/a", "opt",     "etc",
                                          "bin",       ".",     "etc/keep"};
    for (size_t i = 0; i < ARRAY_LEN(dressed); i++) {
        assert_int_equal(utimensat(dir, dressed[i], old, 0), 0);
    }
    setting.base = adopt("base", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct error err = {0};
    store_freep(&setting.store);
    free(setting.base);
    if (file_remove_tree(AT_FDCWD, setting.folder, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return 0;
}

/* ---- running ---- */

static const char *const plain_env[] = {"PATH=/bin", "HOME=/", NULL};

struct call {
    struct sandbox_spec spec;
    const char *argv[4];
    const char *lowers[1];
    struct sandbox_result result;
};

static void prepare(struct call *call, const char *script)
{
    *call = (struct call){.argv = {"/bin/sh", "-c", script, NULL}, .lowers = {setting.base}};
    call->spec = (struct sandbox_spec){
        .lowers = call->lowers, .lowers_len = 1, .argv = call->argv, .env = plain_env, .cwd = "/"};
}

static void release(struct call *call)
{
    sandbox_result_release(setting.store, &call->result);
}

static void run_call(struct call *call)
{
    OK(sandbox_run(setting.store, &call->spec, &call->result, &err));
}

/* A failing RUN of a user without subordinate ids ends with a word about them. */
static void cut_note(char *tail)
{
    char *note = strstr(tail, "slipway: note: this user has no subordinate ids");
    if (note) {
        note[note > tail ? -1 : 0] = '\0';
    }
}

/* Runs SCRIPT, which must end with STATUS and print OUTPUT (its last lines without the newline). */
static void expect(const char *script, int status, const char *output)
{
    AUTO(release) struct call call;
    prepare(&call, script);
    run_call(&call);
    cut_note(call.result.tail);
    assert_string_equal(call.result.tail, output);
    assert_int_equal(call.result.exit_status, status);
}

/* The difference as lines "TYPE PATH", those of parents in brackets. */
static char *describe(const struct tree *diff)
{
    static const char letters[] = "fdlhcbpw";
    struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < tree_len(diff); i++) {
        const struct entry *entry = tree_at(diff, i);
        bool parent = entry->flags & ENTRY_PARENT;
        buf_printf(&text, "%s%c %s%s\n", parent ? "[" : "", letters[entry->type], entry->path,
                   parent ? "]" : "");
    }
    return buf_take(&text);
}

static void expect_diff(const char *script, const char *diff)
{
    AUTO(release) struct call call;
    prepare(&call, script);
    run_call(&call);
    if (call.result.exit_status != 0) {
        fail_msg("'%s' failed: %s", script, call.result.tail);
    }
    AUTO(mem_freep) char *found = describe(call.result.diff);
    assert_string_equal(found, diff);
}

static void test_sandbox__exit_status_and_tail(void **state)
{
    (void)state;
    expect("exit 7", 7, "");
    expect("echo out; echo err >&2; exit 3", 3, "out\nerr");
    expect("kill -9 $$", 137, "");
    expect("seq 1 100000; exit 1", 1,
           "99981\n99982\n99983\n99984\n99985\n99986\n99987\n99988\n99989\n99990\n99991\n99992\n"
           "99993\n99994\n99995\n99996\n99997\n99998\n99999\n100000");
}

static void test_sandbox__a_missing_command_is_127(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "");
    call.argv[0] = "nothing-here";
    call.argv[1] = NULL;
    run_call(&call);
    assert_int_equal(call.result.exit_status, 127);
    cut_note(call.result.tail);
    assert_string_equal(call.result.tail,
                        "slipway: cannot execute 'nothing-here': No such file or directory");
}

static void test_sandbox__difference(void **state)
{
    (void)state;
    expect_diff("true", "");
    expect_diff("echo x > /new", "f new\n");
    expect_diff("echo x > /opt/a/one", "[d opt]\n[d opt/a]\nf opt/a/one\n");
    expect_diff("rm /opt/a/one", "[d opt]\n[d opt/a]\nw opt/a/one\n");
    expect_diff("rm -r /opt", "w opt\n");
    expect_diff("chmod 600 /etc/keep", "[d etc]\nf etc/keep\n");
    expect_diff("chmod 700 /opt", "d opt\n");
    expect_diff("echo x > /opt/a/tmp; rm /opt/a/tmp", "");
    expect_diff("touch -d @5 /etc/keep; touch -d @1500000000 /etc/keep", "");
    expect_diff(": >> /etc/keep", "");
    expect_diff("mkdir -p /x/y; ln -s a /x/l; mkfifo /x/p; echo 1 > /x/f; ln /x/f /x/y/g",
                "d x\nf x/f\nl x/l\np x/p\nd x/y\nh x/y/g\n");
}

static void test_sandbox__replaced_folder_deletes_what_it_hid(void **state)
{
    (void)state;
    expect_diff("rm -r /opt/a && mkdir /opt/a && echo n > /opt/a/two",
                "[d opt]\nd opt/a\nw opt/a/one\nw opt/a/sub\nf opt/a/two\n");
    expect_diff("rm -r /opt/a && mkdir -p /opt/a/sub && echo n > /opt/a/sub/four",
                "[d opt]\nd opt/a\nw opt/a/one\nd opt/a/sub\nf opt/a/sub/four\nw "
                "opt/a/sub/three\nw opt/a/two\n");
    expect_diff("rm -r /opt/a && echo file > /opt/a", "[d opt]\nf opt/a\n");
}

static void test_sandbox__times_of_parents_and_written_files(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "echo x > /opt/a/new; touch -d @1234567 /opt/a/old; chmod 711 /opt/a/sub");
    run_call(&call);
    const struct tree *diff = call.result.diff;
    const struct entry *parent = tree_find(diff, "opt/a");
    assert_int_equal(parent->mtime, 1500000000);
    assert_int_equal(parent->flags, ENTRY_PARENT);
    assert_int_equal(tree_find(diff, "opt/a/new")->flags, ENTRY_TIME_VOLATILE);
    assert_int_equal(tree_find(diff, "opt/a/old")->flags, 0);
    assert_int_equal(tree_find(diff, "opt/a/old")->mtime, 1234567);
    assert_int_equal(tree_find(diff, "opt/a/sub")->flags, 0);
    assert_int_equal(tree_find(diff, "opt/a/sub")->mtime, 1500000000);
    assert_int_equal(tree_find(diff, "opt/a/sub")->mode, 0711);
}

static void test_sandbox__content_is_read_back(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "echo hello > /opt/a/new");
    run_call(&call);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    OK(entry_read(tree_find(call.result.diff, "opt/a/new"), 100, &text, &err));
    assert_string_equal(buf_text(&text), "hello\n");
}

static void test_sandbox__mounts_leave_no_trace(void **state)
{
    (void)state;
    expect_diff("test -s /etc/resolv.conf && test -s /etc/hosts && echo x >> /etc/hosts && "
                "echo x > /etc/resolv.conf && echo x > /dev/shm/y && echo x > /dev/leak",
                "");
    expect_diff("echo x > /etc/other", "[d etc]\nf etc/other\n");
    expect("grep -c buildkitsandbox /etc/hosts; hostname", 0, "1\nbuildkitsandbox");
}

static void test_sandbox__dev_is_whole_and_private(void **state)
{
    (void)state;
    expect("for n in null zero full random urandom tty; do test -c /dev/$n || echo no $n; done; "
           "for n in fd stdin stdout stderr ptmx core; do test -L /dev/$n || echo no $n; done; "
           "ls /dev/pts/ptmx; ls /dev | grep -c .; echo x > /dev/null; stat -c %a /dev/null",
           0, "/dev/pts/ptmx\n15\n666");
    struct stat st;
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void test_sandbox__the_machine_is_out_of_reach(void **state)
{
    (void)state;
    AUTO(mem_freep)
    char *script = mem_printf(
        "ls -d %s /root /usr 2>/dev/null; ls /proc/1/root/ 2>/dev/null; "
        "echo x > /proc/sys/kernel/hostname; mkdir /sys/x; cat /proc/kcore; ls /sys/firmware; "
        "set -- /proc/[0-9]*; echo $#",
        setting.folder);
    AUTO(release) struct call call;
    prepare(&call, script);
    run_call(&call);
    assert_null(strstr(call.result.tail, setting.folder));
    assert_null(strstr(call.result.tail, "busybox\n"));
    assert_non_null(strstr(call.result.tail, "/proc/sys/kernel/hostname: Read-only file system"));
    assert_non_null(strstr(call.result.tail, "'/sys/x': Read-only file system"));
    assert_string_equal(strrchr(call.result.tail, '\n'), "\n2"); /* init, sh */
}

static void test_sandbox__capabilities_are_dockers(void **state)
{
    (void)state;
    expect("grep Cap /proc/self/status", 0,
           "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"
           "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000");
    expect("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status", 0, "NoNewPrivs:\t0\nSeccomp:\t2");
}

static void test_sandbox__dangerous_calls_are_refused(void **state)
{
    (void)state;
    expect("mount -t tmpfs x /opt 2>&1; unshare -m true; sync; umask", 0,
           "mount: permission denied (are you root?)\nunshare: unshare(0x20000): Operation not "
           "permitted\n0022");
}

static void test_sandbox__nothing_keeps_running(void **state)
{
    (void)state;
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    expect("sleep 100 & (sleep 100 &) ; echo started", 0, "started");
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 20);
}

static void test_sandbox__another_user(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "id -u; id -g; id -G; grep CapEff /proc/self/status; echo x > /dev/stdout; "
                   "echo y > /opt/no 2>/dev/null; cd /tmp/w && echo z > f; exit 0");
    static const uint32_t groups[] = {1000, 2000};
    if (getenv("_SLIPWAY_INSIDE") && strcmp(getenv("_SLIPWAY_INSIDE"), "one") == 0) {
        print_message("no subordinate ids: skipped\n");
        skip();
    }
    call.spec.uid = 1000;
    call.spec.gid = 1000;
    call.spec.groups = groups;
    call.spec.groups_len = 2;
    run_call(&call);
    assert_non_null(
        strstr(call.result.tail, "1000\n1000\n1000 2000\nCapEff:\t0000000000000000\nx\n"));
}

static void test_sandbox__working_folder_is_made(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "echo x > f");
    call.spec.cwd = "/srv/app";
    run_call(&call);
    AUTO(mem_freep) char *found = describe(call.result.diff);
    assert_string_equal(found, "d srv\nd srv/app\nf srv/app/f\n");
}

static void test_sandbox__input(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "cat");
    call.spec.stdin_data = "from outside";
    call.spec.stdin_len = strlen("from outside");
    run_call(&call);
    assert_string_equal(call.result.tail, "from outside");
}

static void test_sandbox__environment_is_only_what_was_given(void **state)
{
    (void)state;
    expect("env | grep -v -e PWD -e SHLVL -e ^_=", 0, "HOME=/\nPATH=/bin");
}

static void test_sandbox__network_none_has_only_loopback(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "ls /sys/class/net; ip addr show lo | grep -c 127.0.0.1");
    call.spec.network = NETWORK_NONE;
    run_call(&call);
    assert_string_equal(call.result.tail, "lo\n1");
}

static void test_sandbox__mounts_of_the_run(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = open_temp(&path);
    AUTO(mem_freep) char *source = mem_printf("%s/%s", store_path(setting.store), path);
    write_file(dir, "inside", "bound\n", 0644);
    const struct sandbox_mount mounts[] = {
        {.type = SANDBOX_BIND, .source = source, .target = "/deep/er/ctx", .readonly = true},
        {.type = SANDBOX_BIND, .source = source, .target = "/cache"},
        {.type = SANDBOX_TMPFS, .target = "/tm/pfs", .mode = 0750},
        {.type = SANDBOX_FILE,
         .target = "/run/secrets/one",
         .data = "s3cret",
         .data_len = 6,
         .mode = 0400},
        {.type = SANDBOX_FILE, .target = "/tm/pfs/a/b", .data = "in", .data_len = 2, .mode = 0444},
    };
    prepare(&call,
            "cat /deep/er/ctx/inside /run/secrets/one; stat -c ' %a' /run/secrets/one /tm/pfs; "
            "echo x > /deep/er/ctx/no; echo y > /cache/yes; echo z > /tm/pfs/z; cat /tm/pfs/a/b");
    call.spec.mounts = mounts;
    call.spec.mounts_len = ARRAY_LEN(mounts);
    run_call(&call);
    assert_string_equal(call.result.tail,
                        "bound\ns3cret 400\n 750\n"
                        "/bin/sh: can't create /deep/er/ctx/no: Read-only file system\nin");
    assert_int_equal(tree_len(call.result.diff), 0);
    assert_int_equal(faccessat(dir, "yes", F_OK, 0), 0);
    assert_int_not_equal(faccessat(dir, "no", F_OK, 0), 0);
}

static void test_sandbox__a_target_that_is_a_link_is_followed_inside(void **state)
{
    (void)state;
    AUTO(release) struct call first;
    AUTO(release) struct call second;
    prepare(&first, "rm -f /etc/resolv.conf; ln -s /run/stub/resolv.conf /etc/resolv.conf; echo");
    /* It cannot be replaced while it is mounted over: through another folder. */
    prepare(&first, "mkdir /new && ln -s ../run/stub/resolv.conf /new/resolv.conf");
    run_call(&first);
    struct digest id;
    digest_of("links", 5, &id);
    OK(sandbox_keep_upper(setting.store, &first.result, &id, &err));
    assert_null(first.result.upper);
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *layer = mem_printf("unpacked/%s/%s/root",
                             sandbox_style(setting.rung) == UNPACK_OVERLAY ? "overlay" : "user",
                             digest_hex(&id, hex));
    const char *const lowers[] = {setting.base, layer};
    const struct sandbox_mount mount = {.type = SANDBOX_FILE,
                                        .target = "/new/resolv.conf",
                                        .data = "via link",
                                        .data_len = 8,
                                        .mode = 0444};
    prepare(&second, "cat /run/stub/resolv.conf; cp -p /new/resolv.conf /copy");
    second.spec.lowers = lowers;
    second.spec.lowers_len = 2;
    second.spec.mounts = &mount;
    second.spec.mounts_len = 1;
    run_call(&second);
    assert_string_equal(second.result.tail, "via link");
    AUTO(mem_freep) char *found = describe(second.result.diff);
    assert_string_equal(found, "f copy\n");
}

static void test_sandbox__kept_upper_has_stamped_times(void **state)
{
    (void)state;
    AUTO(release) struct call first;
    AUTO(release) struct call second;
    prepare(&first, "echo x > /written; touch -d @77 /dated; rm /opt/a/one");
    run_call(&first);
    struct digest id;
    digest_of("kept", 4, &id);
    OK(sandbox_keep_upper(setting.store, &first.result, &id, &err));
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep)
    char *layer = mem_printf("unpacked/%s/%s/root",
                             sandbox_style(setting.rung) == UNPACK_OVERLAY ? "overlay" : "user",
                             digest_hex(&id, hex));
    const char *const lowers[] = {setting.base, layer};
    /* Copies keep the time of what was written before, which means nothing. */
    prepare(&second, "cp -p /written /a; cp -p /dated /b; ls /opt/a");
    second.spec.lowers = lowers;
    second.spec.lowers_len = 2;
    run_call(&second);
    assert_string_equal(second.result.tail, "sub\ntwo");
    assert_int_equal(tree_find(second.result.diff, "a")->flags, ENTRY_TIME_VOLATILE);
    assert_int_equal(tree_find(second.result.diff, "b")->flags, 0);
    assert_int_equal(tree_find(second.result.diff, "b")->mtime, 77);
}

static void test_sandbox__many_layers(void **state)
{
    (void)state;
    enum { LAYERS = 130 };
    const char *lowers[LAYERS];
    AUTO(release) struct call call;
    lowers[0] = setting.base;
    for (int i = 1; i < LAYERS; i++) {
        AUTO(mem_freep) char *path = NULL;
        char name[32];
        snprintf(name, sizeof name, "layer%d", i);
        AUTO(fd_closep) int dir = open_temp(&path);
        write_file(dir, name, name, 0644);
        write_file(dir, "top", name, 0644);
        lowers[i] = adopt(name, path);
    }
    prepare(&call, "cat /layer1 /layer129 /top; rm /layer5");
    call.spec.lowers = lowers;
    call.spec.lowers_len = LAYERS;
    run_call(&call);
    assert_string_equal(call.result.tail, "layer1layer129layer129");
    AUTO(mem_freep) char *found = describe(call.result.diff);
    assert_string_equal(found, "w layer5\n");
    for (int i = 1; i < LAYERS; i++) {
        free((char *)(uintptr_t)lowers[i]);
    }
}

static void test_sandbox__owners_that_do_not_exist_here(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = open_temp(&path);
    write_file(dir, "srv/web/f", "x", 0644);
    AUTO(fd_closep) int web = openat(dir, "srv/web", O_RDONLY | O_CLOEXEC);
    AUTO(fd_closep) int file = openat(dir, "srv/web/f", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fchmod(web, 02775), 0);
    assert_int_equal(fsetxattr(web, UNPACK_OWNER_XATTR, "33:2000", 7, 0), 0);
    assert_int_equal(fsetxattr(file, UNPACK_OWNER_XATTR, "1000:50", 7, 0), 0);
    AUTO(mem_freep) char *layer = adopt("owners", path);
    const char *const lowers[] = {setting.base, layer};
    prepare(&call, "chmod 600 /srv/web/f; mkdir /srv/web/d; echo x > /srv/web/d/new");
    call.spec.lowers = lowers;
    call.spec.lowers_len = 2;
    run_call(&call);
    const struct entry *f = tree_find(call.result.diff, "srv/web/f");
    const struct entry *new = tree_find(call.result.diff, "srv/web/d/new");
    assert_int_equal(f->uid, 1000);
    assert_int_equal(f->gid, 50);
    assert_int_equal(f->xattrs_len, 0);
    assert_int_equal(new->uid, 0);
    assert_int_equal(new->gid, 2000);
    assert_int_equal(tree_find(call.result.diff, "srv/web")->uid, 33);
    assert_true(tree_find(call.result.diff, "srv/web")->flags & ENTRY_PARENT);
}

static void test_sandbox__the_same_layer_twice(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    AUTO(mem_freep) char *path = NULL;
    AUTO(fd_closep) int dir = open_temp(&path);
    write_file(dir, "between", "x", 0644);
    AUTO(mem_freep) char *between = adopt("between", path);
    const char *const lowers[] = {setting.base, setting.base, between, setting.base};
    prepare(&call, "cat /between /opt/a/one; rm /opt/a/one");
    call.spec.lowers = lowers;
    call.spec.lowers_len = ARRAY_LEN(lowers);
    run_call(&call);
    assert_string_equal(call.result.tail, "x1");
    AUTO(mem_freep) char *found = describe(call.result.diff);
    assert_string_equal(found, "[d opt]\n[d opt/a]\nw opt/a/one\n");
}

static void test_sandbox__no_layers_at_all(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(release) struct call call;
    prepare(&call, "true");
    call.spec.lowers_len = 0;
    assert_int_equal(sandbox_run(setting.store, &call.spec, &call.result, &err), 0);
    assert_int_equal(call.result.exit_status, 127);
}

static void test_sandbox__deep_folders(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(
        &call,
        "n=0; while [ $n -lt 1500 ]; do mkdir d && cd d || exit 1; n=$((n+1)); done; echo x > f");
    run_call(&call);
    assert_int_equal(call.result.exit_status, 0);
    assert_int_equal(tree_len(call.result.diff), 1501);
}

static void test_sandbox__nothing_left_in_the_store(void **state)
{
    (void)state;
    AUTO(release) struct call call;
    prepare(&call, "echo x > /f");
    run_call(&call);
    AUTO(mem_freep) char *upper = mem_strdup(call.result.upper);
    *strrchr(upper, '/') = '\0';
    assert_int_equal(faccessat(store_fd(setting.store), upper, F_OK, 0), 0);
    sandbox_result_release(setting.store, &call.result);
    /* Nobody waits for it. */
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int i = 0; i < 2000 && faccessat(store_fd(setting.store), upper, F_OK, 0) == 0; i++) {
        nanosleep(&pause, NULL);
    }
    assert_int_not_equal(faccessat(store_fd(setting.store), upper, F_OK, 0), 0);
}

static void *cancel_soon(void *arg)
{
    (void)arg;
    struct timespec half = {.tv_nsec = 500000000};
    nanosleep(&half, NULL);
    cancel_request(SIGTERM);
    return NULL;
}

/* The last test: the wish to stop is for good. */
static void test_sandbox__zz_cancel_ends_everything(void **state)
{
    (void)state;
    struct error err = {0};
    pthread_t thread;
    struct timespec before;
    struct timespec after;
    AUTO(release) struct call call;
    prepare(&call, "trap '' TERM INT; sleep 1000 & sleep 1000; sleep 1000");
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    assert_int_equal(sandbox_run(setting.store, &call.spec, &call.result, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 20);
    pthread_join(thread, NULL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(int argc, char **argv)
{
    int status = 0;
    struct error err = {0};
    AUTO(mem_freep) char *why = NULL;
    if (argc > 1 && strcmp(argv[1], "__sandbox") == 0) {
        return sandbox_main(argc, argv);
    }
    if (sandbox_enter(argc, argv, &status)) {
        return status;
    }
    if (access(BUSYBOX, X_OK) != 0 || sandbox_probe(&setting.rung, &why, &err) != 0 ||
        setting.rung == RUNG_NONE || geteuid() != 0) {
        print_message("skipped: %s\n", why ? why : err.code ? err.text : "no " BUSYBOX);
        return 0;
    }
    print_message("rung: %s\n", setting.rung == RUNG_OVERLAY ? "overlay" : "user namespace");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox__exit_status_and_tail),
        cmocka_unit_test(test_sandbox__a_missing_command_is_127),
        cmocka_unit_test(test_sandbox__difference),
        cmocka_unit_test(test_sandbox__replaced_folder_deletes_what_it_hid),
        cmocka_unit_test(test_sandbox__times_of_parents_and_written_files),
        cmocka_unit_test(test_sandbox__content_is_read_back),
        cmocka_unit_test(test_sandbox__mounts_leave_no_trace),
        cmocka_unit_test(test_sandbox__dev_is_whole_and_private),
        cmocka_unit_test(test_sandbox__the_machine_is_out_of_reach),
        cmocka_unit_test(test_sandbox__capabilities_are_dockers),
        cmocka_unit_test(test_sandbox__dangerous_calls_are_refused),
        cmocka_unit_test(test_sandbox__nothing_keeps_running),
        cmocka_unit_test(test_sandbox__another_user),
        cmocka_unit_test(test_sandbox__working_folder_is_made),
        cmocka_unit_test(test_sandbox__input),
        cmocka_unit_test(test_sandbox__environment_is_only_what_was_given),
        cmocka_unit_test(test_sandbox__network_none_has_only_loopback),
        cmocka_unit_test(test_sandbox__mounts_of_the_run),
        cmocka_unit_test(test_sandbox__a_target_that_is_a_link_is_followed_inside),
        cmocka_unit_test(test_sandbox__kept_upper_has_stamped_times),
        cmocka_unit_test(test_sandbox__many_layers),
        cmocka_unit_test(test_sandbox__owners_that_do_not_exist_here),
        cmocka_unit_test(test_sandbox__the_same_layer_twice),
        cmocka_unit_test(test_sandbox__no_layers_at_all),
        cmocka_unit_test(test_sandbox__deep_folders),
        cmocka_unit_test(test_sandbox__nothing_left_in_the_store),
        cmocka_unit_test(test_sandbox__zz_cancel_ends_everything),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
