#include "git/credentials.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "aws/codecommit.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "git/known_hosts.h"
#include "git/library.h"

void git_login_release(struct git_login *login)
{
    mem_freep(&login->user);
    mem_freep(&login->password);
}

void git_auth_init(struct git_auth *auth, const struct git_url *url)
{
    *auth = (struct git_auth){.url = url};
}

void git_auth_release(struct git_auth *auth)
{
    mem_freep(&auth->header);
}

static char *home_file(const char *name)
{
    const char *home = getenv("HOME");
    return home && *home ? mem_printf("%s/%s", home, name) : NULL;
}

/* A small text file; "" where it is missing or cannot be read. The caller's. */
static char *slurp(const char *path)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool found = false;
    if (!path || file_read(AT_FDCWD, path, LIMIT_TEXT_FILE_BYTES, &text, &found, &ignored) ||
        !found) {
        return mem_strdup("");
    }
    return buf_take(&text);
}

/* The ways to a name and password over HTTP. Each finds one (1), has none (0), or fails for good
 * (-1). */
typedef int (*way)(struct git_auth *auth, const struct git_url *url, struct git_login *out);

static int from_url(struct git_auth *auth, const struct git_url *url, struct git_login *out)
{
    (void)auth;
    if (!url->user || !url->password) {
        return 0;
    }
    out->user = mem_strdup(url->user);
    out->password = mem_strdup(url->password);
    return 1;
}

static int from_aws(struct git_auth *auth, const struct git_url *url, struct git_login *out)
{
    if (!url->codecommit || !url->region) {
        return 0;
    }
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    bool found = false;
    if (aws_keys_find(url->profile, &keys, &found, &auth->error)) {
        error_wrap(&auth->error, "%s", url->display);
        return -1;
    }
    if (!found) {
        return 0;
    }
    codecommit_password(&keys, url->host, url->path, url->region, time(NULL), &out->user,
                        &out->password);
    return 1;
}

static int from_netrc(struct git_auth *auth, const struct git_url *url, struct git_login *out)
{
    (void)auth;
    const char *named = getenv("NETRC");
    AUTO(mem_freep) char *path = named && *named ? mem_strdup(named) : home_file(".netrc");
    AUTO(mem_freep) char *text = slurp(path);
    return netrc_find(text, url->host, url->user, out) ? 1 : 0;
}

static int from_helper(struct git_auth *auth, const struct git_url *url, struct git_login *out)
{
    (void)auth;
    return git_helper_find(url, out) ? 1 : 0;
}

/* A token as the user's name alone, as forges take it. */
static int from_bare_user(struct git_auth *auth, const struct git_url *url, struct git_login *out)
{
    (void)auth;
    if (!url->user || url->password) {
        return 0;
    }
    out->user = mem_strdup(url->user);
    out->password = mem_strdup("");
    return 1;
}

static int refuse(struct git_auth *auth, const char *why)
{
    if (auth->error.code == ERR_NONE) {
        error_set(&auth->error, ERR_AUTH, "%s: %s", auth->url->display, why);
    }
    git_error_set_str(GIT_ERROR_CALLBACK, "no credentials");
    return GIT_EAUTH;
}

/* Whether the connection at hand goes to somebody else than the URL says: a redirect. */
static bool is_elsewhere(const struct git_auth *auth)
{
    return auth->host[0] && strcasecmp(auth->host, auth->url->host) != 0;
}

static void set_header(struct git_auth *auth, const struct git_login *login)
{
    AUTO(mem_freep) char *pair = mem_printf("%s:%s", login->user, login->password);
    size_t len = strlen(pair);
    AUTO(mem_freep) char *coded = mem_alloc(len / 3 * 4 + 8);
    EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)pair, (int)len);
    mem_freep(&auth->header);
    auth->header = mem_printf("Authorization: Basic %s", coded);
    auth->tried = true;
}

bool git_auth_next(struct git_auth *auth)
{
    static const way ways[] = {from_url, from_aws, from_netrc, from_helper, from_bare_user};
    if (is_elsewhere(auth)) {
        AUTO(mem_freep)
        char *why = mem_printf("the server sends us on to %s, which asks for credentials: use its "
                               "own URL",
                               auth->host);
        refuse(auth, why);
        return false;
    }
    while (auth->next < ARRAY_LEN(ways) && auth->error.code == ERR_NONE) {
        AUTO(git_login_release) struct git_login login = {0};
        int found = ways[auth->next++](auth, auth->url, &login);
        if (found > 0) {
            set_header(auth, &login);
            return true;
        }
    }
    refuse(auth, auth->tried ? "the server refused our name and password"
                             : "needs a name and password, and neither the URL, netrc nor a git "
                               "credential helper has one");
    return false;
}

static char *local_user(void)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char space[4096];
    if (getpwuid_r(geteuid(), &entry, space, sizeof space, &found) == 0 && found) {
        return mem_strdup(found->pw_name);
    }
    return mem_strdup("git");
}

/* Whether the private key at PATH is there and needs no passphrase. */
static bool key_is_usable(const char *path)
{
    AUTO(mem_freep) char *text = slurp(path);
    if (!strstr(text, "PRIVATE KEY-----") || strstr(text, "ENCRYPTED")) {
        return false;
    }
    const char *body = strstr(text, "BEGIN OPENSSH PRIVATE KEY-----");
    /* base64 of "openssh-key-v1\0" and the cipher's name "none" */
    return !body || strstr(body, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU") != NULL;
}

/* An agent that is gone would end libgit2's attempt before any key was tried. */
static bool agent_listens(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("SSH_AUTH_SOCK");
    if (!path || !*path || strlen(path) >= sizeof address.sun_path) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    AUTO(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static int next_ssh_key(struct git_auth *auth, const char *user, git_credential **out)
{
    static const char *const keys[] = {".ssh/id_ed25519", ".ssh/id_ecdsa", ".ssh/id_rsa"};
    bool agent = agent_listens();
    if (auth->next == 0) {
        auth->next = 1;
        if (agent) {
            return git_credential_ssh_key_from_agent(out, user);
        }
    }
    while (auth->next <= ARRAY_LEN(keys)) {
        AUTO(mem_freep) char *path = home_file(keys[auth->next++ - 1]);
        if (path && key_is_usable(path)) {
            return git_credential_ssh_key_new(out, user, NULL, path, NULL);
        }
    }
    AUTO(mem_freep) char *rsa = home_file(".ssh/id_rsa");
    AUTO(mem_freep)
    char *why = mem_printf("the server took no key of ~/.ssh%s%s",
                           agent ? " or the ssh agent" : ", and no ssh agent is running",
                           rsa && key_is_usable(rsa)
                               ? " (RSA keys are used with SHA-1 here, which most servers refuse: "
                                 "make an ed25519 or ecdsa key)"
                               : "");
    return refuse(auth, why);
}

int git_auth_credentials(git_credential **out, const char *url_text, const char *user,
                         unsigned allowed_types, void *payload)
{
    struct git_auth *auth = payload;
    const struct git_url *url = auth->url;
    (void)url_text;
    auth->asked = true;
    if (url->scheme != GIT_URL_SSH) {
        git_error_set_str(GIT_ERROR_CALLBACK, "credentials wanted");
        return GIT_EAUTH; /* git_auth_next() */
    }
    AUTO(mem_freep) char *self = local_user();
    const char *name = user && *user ? user : url->user ? url->user : self;
    if (allowed_types & GIT_CREDENTIAL_USERNAME) {
        return git_credential_username_new(out, name);
    }
    if (allowed_types & GIT_CREDENTIAL_SSH_KEY) {
        return next_ssh_key(auth, name, out);
    }
    if (allowed_types & GIT_CREDENTIAL_USERPASS_PLAINTEXT && url->password && !auth->tried) {
        auth->tried = true;
        return git_credential_userpass_plaintext_new(out, name, url->password);
    }
    return refuse(auth, "the server wants a kind of credentials that slipway does not have");
}

/* "SHA256:..." as ssh-keygen -l prints it. */
static void fingerprint(const void *key, size_t len, char out[64])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    unsigned char text[64];
    EVP_Digest(key, len, digest, &digest_len, EVP_sha256(), NULL);
    int got = EVP_EncodeBlock(text, digest, (int)digest_len);
    while (got > 0 && text[got - 1] == '=') {
        text[--got] = '\0';
    }
    snprintf(out, 64, "SHA256:%s", (const char *)text);
}

static int check_ssh_key(struct git_auth *auth, const git_cert_hostkey *cert, const char *host)
{
    static const char *const system_files[] = {"/etc/ssh/ssh_known_hosts",
                                               "/etc/ssh/ssh_known_hosts2"};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(mem_freep) char *first = home_file(".ssh/known_hosts");
    AUTO(mem_freep) char *second = home_file(".ssh/known_hosts2");
    const char *files[] = {first, second, system_files[0], system_files[1]};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO(mem_freep) char *part = slurp(files[i]);
        buf_printf(&text, "%s\n", part);
    }
    if (!(cert->type & GIT_CERT_SSH_RAW)) {
        return refuse(auth, "the ssh server's key cannot be compared with known_hosts");
    }
    unsigned port = auth->url->port;
    enum known_host known =
        known_hosts_find(buf_text(&text), host, port, cert->hostkey, cert->hostkey_len);
    if (known == KNOWN_HOST_MATCH) {
        return 0;
    }
    char print[64];
    fingerprint(cert->hostkey, cert->hostkey_len, print);
    AUTO(mem_freep)
    char *add = port && port != 22 ? mem_printf("ssh-keyscan -p %u %s", port, host)
                                   : mem_printf("ssh-keyscan %s", host);
    error_set(&auth->error, ERR_AUTH,
              known == KNOWN_HOST_UNKNOWN
                  ? "%s: the server's key %s is not in ~/.ssh/known_hosts; compare it with the one "
                    "its owner publishes, then: %s >> ~/.ssh/known_hosts"
              : known == KNOWN_HOST_REVOKED
                  ? "%s: the server's key %s is marked as revoked in known_hosts%.0s"
                  : "%s: the server's key %s is not the one in known_hosts: somebody may be "
                    "listening; if the key was changed, take the old line out and: %s >> "
                    "~/.ssh/known_hosts",
              auth->url->display, print, add);
    return refuse(auth, "");
}

int git_auth_certificate(git_cert *cert, int valid, const char *host, void *payload)
{
    struct git_auth *auth = payload;
    (void)valid;
    if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2) {
        return check_ssh_key(auth, (const git_cert_hostkey *)cert, host);
    }
    snprintf(auth->host, sizeof auth->host, "%s", host);
    if (auth->header && is_elsewhere(auth)) {
        /* This comes before the request is sent, which carries the credentials. */
        AUTO(mem_freep)
        char *why = mem_printf("the server sends us on to %s: use its own URL", host);
        return refuse(auth, why);
    }
    return GIT_PASSTHROUGH; /* what the TLS library found counts */
}
