/*
 * Whom libgit2 trusts over TLS.
 *
 * It reads the system's certificates, some 140 of them, whenever it is made ready: 7 ms, more than
 * all the rest of a build that changes nothing, and only a fetch over https needs them. So the
 * function that it calls for that is ours: it does nothing until then.
 */
#ifndef SLIPWAY_GIT_TRUST_H
#define SLIPWAY_GIT_TRUST_H

/* From here to git_trust_started(), around git_libgit2_init(), no certificates are read. LIBRARY is
 * libgit2 as shared_library_open() gave it. */
void git_trust_starting(void *library);

/* libgit2 is ready: certificates are read again when it is asked to. */
void git_trust_started(void);

/* Before the first connection that may use TLS: reads the certificates of the file that
 * GIT_SSL_CAINFO, CURL_CA_BUNDLE or SSL_CERT_FILE names, else the system's. Any thread. */
void git_trust_load(void);

#endif
