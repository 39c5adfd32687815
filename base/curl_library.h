/*
 * libcurl, loaded when the first request needs it.
 *
 * It brings 30 libraries along, which takes as long as all the rest of a build that changes
 * nothing. curl's functions are called by their own names: each is a macro for the library's.
 */
#ifndef SLIPWAY_BASE_CURL_LIBRARY_H
#define SLIPWAY_BASE_CURL_LIBRARY_H

/* The checks of types are macros of the same names. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_share_setopt
#undef curl_multi_setopt

/* The functions that are used, without "curl_". */
#define CURL_FUNCTIONS(X)                                                                          \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_perform)                                                                                \
    X(easy_recv)                                                                                   \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(free)                                                                                        \
    X(getdate)                                                                                     \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(share_cleanup)                                                                               \
    X(share_init)                                                                                  \
    X(share_setopt)                                                                                \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(url)                                                                                         \
    X(url_cleanup)                                                                                 \
    X(url_get)                                                                                     \
    X(url_set)                                                                                     \
    X(version)                                                                                     \
    X(version_info)

struct curl_library {
#define CURL_MEMBER(NAME) __typeof__(curl_##NAME) *NAME;
    CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
};

/* The library, loaded and made ready by the first call, for the life of the process. Any thread.
 * Where it is not there the process ends with the loader's words, as for any other library. */
const struct curl_library *curl_library(void);

#define curl_easy_cleanup (curl_library()->easy_cleanup)
#define curl_easy_getinfo (curl_library()->easy_getinfo)
#define curl_easy_init (curl_library()->easy_init)
#define curl_easy_perform (curl_library()->easy_perform)
#define curl_easy_recv (curl_library()->easy_recv)
#define curl_easy_reset (curl_library()->easy_reset)
#define curl_easy_setopt (curl_library()->easy_setopt)
#define curl_easy_strerror (curl_library()->easy_strerror)
#define curl_free (curl_library()->free)
#define curl_getdate (curl_library()->getdate)
#define curl_global_init (curl_library()->global_init)
#define curl_multi_add_handle (curl_library()->multi_add_handle)
#define curl_multi_cleanup (curl_library()->multi_cleanup)
#define curl_multi_info_read (curl_library()->multi_info_read)
#define curl_multi_init (curl_library()->multi_init)
#define curl_multi_perform (curl_library()->multi_perform)
#define curl_multi_poll (curl_library()->multi_poll)
#define curl_multi_remove_handle (curl_library()->multi_remove_handle)
#define curl_share_cleanup (curl_library()->share_cleanup)
#define curl_share_init (curl_library()->share_init)
#define curl_share_setopt (curl_library()->share_setopt)
#define curl_slist_append (curl_library()->slist_append)
#define curl_slist_free_all (curl_library()->slist_free_all)
#define curl_url (curl_library()->url)
#define curl_url_cleanup (curl_library()->url_cleanup)
#define curl_url_get (curl_library()->url_get)
#define curl_url_set (curl_library()->url_set)
#define curl_version (curl_library()->version)
#define curl_version_info (curl_library()->version_info)

#endif
