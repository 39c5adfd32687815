/*
 * libgit2, loaded when the first repository needs it.
 *
 * It brings a dozen libraries along, which a build of a folder outside any repository does not
 * need. libgit2's functions are called by their own names: each is a macro for the library's.
 */
#ifndef SLIPWAY_GIT_LIBGIT2_H
#define SLIPWAY_GIT_LIBGIT2_H

#include <git2.h>
#include <git2/sys/repository.h>

/* The functions that are used, without "git_". */
#define GIT_FUNCTIONS(X)                                                                           \
    X(attr_get_many_ext)                                                                           \
    X(attr_value)                                                                                  \
    X(blob_free)                                                                                   \
    X(blob_lookup)                                                                                 \
    X(blob_rawcontent)                                                                             \
    X(blob_rawsize)                                                                                \
    X(buf_dispose)                                                                                 \
    X(commit_free)                                                                                 \
    X(commit_lookup)                                                                               \
    X(commit_parentcount)                                                                          \
    X(commit_time)                                                                                 \
    X(commit_tree)                                                                                 \
    X(config_delete_entry)                                                                         \
    X(config_free)                                                                                 \
    X(config_get_bool)                                                                             \
    X(config_get_string_buf)                                                                       \
    X(config_new)                                                                                  \
    X(config_set_string)                                                                           \
    X(credential_ssh_key_from_agent)                                                               \
    X(credential_ssh_key_new)                                                                      \
    X(credential_username_new)                                                                     \
    X(credential_userpass_plaintext_new)                                                           \
    X(error_clear)                                                                                 \
    X(error_last)                                                                                  \
    X(error_set_str)                                                                               \
    X(fetch_options_init)                                                                          \
    X(index_entrycount)                                                                            \
    X(index_find_prefix)                                                                           \
    X(index_free)                                                                                  \
    X(index_get_byindex)                                                                           \
    X(index_get_bypath)                                                                            \
    X(index_iterator_free)                                                                         \
    X(index_new)                                                                                   \
    X(libgit2_init)                                                                                \
    X(libgit2_opts)                                                                                \
    X(libgit2_version)                                                                             \
    X(object_free)                                                                                 \
    X(object_id)                                                                                   \
    X(object_lookup)                                                                               \
    X(object_lookup_prefix)                                                                        \
    X(object_peel)                                                                                 \
    X(odb_free)                                                                                    \
    X(odb_object_data)                                                                             \
    X(odb_object_free)                                                                             \
    X(odb_object_size)                                                                             \
    X(odb_object_type)                                                                             \
    X(odb_read)                                                                                    \
    X(odb_read_header)                                                                             \
    X(oid_cmp)                                                                                     \
    X(oid_equal)                                                                                   \
    X(oid_fromstr)                                                                                 \
    X(oid_fromstrn)                                                                                \
    X(oid_tostr)                                                                                   \
    X(reference_create)                                                                            \
    X(reference_free)                                                                              \
    X(reference_list)                                                                              \
    X(reference_lookup)                                                                            \
    X(reference_name_is_valid)                                                                     \
    X(reference_name_to_id)                                                                        \
    X(reference_remove)                                                                            \
    X(reference_symbolic_target)                                                                   \
    X(reference_type)                                                                              \
    X(remote_connect_ext)                                                                          \
    X(remote_connect_options_init)                                                                 \
    X(remote_create_anonymous)                                                                     \
    X(remote_create_options_init)                                                                  \
    X(remote_create_with_opts)                                                                     \
    X(remote_download)                                                                             \
    X(remote_free)                                                                                 \
    X(remote_ls)                                                                                   \
    X(remote_stats)                                                                                \
    X(remote_url)                                                                                  \
    X(repository_commondir)                                                                        \
    X(repository_config)                                                                           \
    X(repository_config_snapshot)                                                                  \
    X(repository_free)                                                                             \
    X(repository_index)                                                                            \
    X(repository_init_ext)                                                                         \
    X(repository_init_options_init)                                                                \
    X(repository_odb)                                                                              \
    X(repository_open_ext)                                                                         \
    X(repository_path)                                                                             \
    X(repository_set_config)                                                                       \
    X(repository_set_index)                                                                        \
    X(repository_workdir)                                                                          \
    X(repository_wrap_odb)                                                                         \
    X(strarray_dispose)                                                                            \
    X(tag_free)                                                                                    \
    X(tag_lookup)                                                                                  \
    X(tag_target_id)                                                                               \
    X(tree_entry_byindex)                                                                          \
    X(tree_entry_byname)                                                                           \
    X(tree_entry_bypath)                                                                           \
    X(tree_entry_filemode)                                                                         \
    X(tree_entry_free)                                                                             \
    X(tree_entry_id)                                                                               \
    X(tree_entry_name)                                                                             \
    X(tree_entry_type)                                                                             \
    X(tree_entrycount)                                                                             \
    X(tree_free)                                                                                   \
    X(tree_id)                                                                                     \
    X(tree_lookup)

struct git_functions {
#define GIT_MEMBER(NAME) __typeof__(git_##NAME) *NAME;
    GIT_FUNCTIONS(GIT_MEMBER)
#undef GIT_MEMBER
};

/* The library, loaded by the first call, for the life of the process. Any thread. Where it is not
 * there the process ends with the loader's words, as for any other library. git_library_init()
 * makes it ready. */
const struct git_functions *git_functions(void);

#define git_attr_get_many_ext (git_functions()->attr_get_many_ext)
#define git_attr_value (git_functions()->attr_value)
#define git_blob_free (git_functions()->blob_free)
#define git_blob_lookup (git_functions()->blob_lookup)
#define git_blob_rawcontent (git_functions()->blob_rawcontent)
#define git_blob_rawsize (git_functions()->blob_rawsize)
#define git_buf_dispose (git_functions()->buf_dispose)
#define git_commit_free (git_functions()->commit_free)
#define git_commit_lookup (git_functions()->commit_lookup)
#define git_commit_parentcount (git_functions()->commit_parentcount)
#define git_commit_time (git_functions()->commit_time)
#define git_commit_tree (git_functions()->commit_tree)
#define git_config_delete_entry (git_functions()->config_delete_entry)
#define git_config_free (git_functions()->config_free)
#define git_config_get_bool (git_functions()->config_get_bool)
#define git_config_get_string_buf (git_functions()->config_get_string_buf)
#define git_config_new (git_functions()->config_new)
#define git_config_set_string (git_functions()->config_set_string)
#define git_credential_ssh_key_from_agent (git_functions()->credential_ssh_key_from_agent)
#define git_credential_ssh_key_new (git_functions()->credential_ssh_key_new)
#define git_credential_username_new (git_functions()->credential_username_new)
#define git_credential_userpass_plaintext_new (git_functions()->credential_userpass_plaintext_new)
#define git_error_clear (git_functions()->error_clear)
#define git_error_last (git_functions()->error_last)
#define git_error_set_str (git_functions()->error_set_str)
#define git_fetch_options_init (git_functions()->fetch_options_init)
#define git_index_entrycount (git_functions()->index_entrycount)
#define git_index_find_prefix (git_functions()->index_find_prefix)
#define git_index_free (git_functions()->index_free)
#define git_index_get_byindex (git_functions()->index_get_byindex)
#define git_index_get_bypath (git_functions()->index_get_bypath)
#define git_index_iterator_free (git_functions()->index_iterator_free)
#define git_index_new (git_functions()->index_new)
#define git_libgit2_init (git_functions()->libgit2_init)
#define git_libgit2_opts (git_functions()->libgit2_opts)
#define git_libgit2_version (git_functions()->libgit2_version)
#define git_object_free (git_functions()->object_free)
#define git_object_id (git_functions()->object_id)
#define git_object_lookup (git_functions()->object_lookup)
#define git_object_lookup_prefix (git_functions()->object_lookup_prefix)
#define git_object_peel (git_functions()->object_peel)
#define git_odb_free (git_functions()->odb_free)
#define git_odb_object_data (git_functions()->odb_object_data)
#define git_odb_object_free (git_functions()->odb_object_free)
#define git_odb_object_size (git_functions()->odb_object_size)
#define git_odb_object_type (git_functions()->odb_object_type)
#define git_odb_read (git_functions()->odb_read)
#define git_odb_read_header (git_functions()->odb_read_header)
#define git_oid_cmp (git_functions()->oid_cmp)
#define git_oid_equal (git_functions()->oid_equal)
#define git_oid_fromstr (git_functions()->oid_fromstr)
#define git_oid_fromstrn (git_functions()->oid_fromstrn)
#define git_oid_tostr (git_functions()->oid_tostr)
#define git_reference_create (git_functions()->reference_create)
#define git_reference_free (git_functions()->reference_free)
#define git_reference_list (git_functions()->reference_list)
#define git_reference_lookup (git_functions()->reference_lookup)
#define git_reference_name_is_valid (git_functions()->reference_name_is_valid)
#define git_reference_name_to_id (git_functions()->reference_name_to_id)
#define git_reference_remove (git_functions()->reference_remove)
#define git_reference_symbolic_target (git_functions()->reference_symbolic_target)
#define git_reference_type (git_functions()->reference_type)
#define git_remote_connect_ext (git_functions()->remote_connect_ext)
#define git_remote_connect_options_init (git_functions()->remote_connect_options_init)
#define git_remote_create_anonymous (git_functions()->remote_create_anonymous)
#define git_remote_create_options_init (git_functions()->remote_create_options_init)
#define git_remote_create_with_opts (git_functions()->remote_create_with_opts)
#define git_remote_download (git_functions()->remote_download)
#define git_remote_free (git_functions()->remote_free)
#define git_remote_ls (git_functions()->remote_ls)
#define git_remote_stats (git_functions()->remote_stats)
#define git_remote_url (git_functions()->remote_url)
#define git_repository_config (git_functions()->repository_config)
#define git_repository_config_snapshot (git_functions()->repository_config_snapshot)
#define git_repository_free (git_functions()->repository_free)
#define git_repository_index (git_functions()->repository_index)
#define git_repository_init_ext (git_functions()->repository_init_ext)
#define git_repository_init_options_init (git_functions()->repository_init_options_init)
#define git_repository_odb (git_functions()->repository_odb)
#define git_repository_open_ext (git_functions()->repository_open_ext)
#define git_repository_commondir (git_functions()->repository_commondir)
#define git_repository_path (git_functions()->repository_path)
#define git_repository_set_config (git_functions()->repository_set_config)
#define git_repository_set_index (git_functions()->repository_set_index)
#define git_repository_workdir (git_functions()->repository_workdir)
#define git_repository_wrap_odb (git_functions()->repository_wrap_odb)
#define git_strarray_dispose (git_functions()->strarray_dispose)
#define git_tag_free (git_functions()->tag_free)
#define git_tag_lookup (git_functions()->tag_lookup)
#define git_tag_target_id (git_functions()->tag_target_id)
#define git_tree_entry_byindex (git_functions()->tree_entry_byindex)
#define git_tree_entry_byname (git_functions()->tree_entry_byname)
#define git_tree_entry_bypath (git_functions()->tree_entry_bypath)
#define git_tree_entry_filemode (git_functions()->tree_entry_filemode)
#define git_tree_entry_free (git_functions()->tree_entry_free)
#define git_tree_entry_id (git_functions()->tree_entry_id)
#define git_tree_entry_name (git_functions()->tree_entry_name)
#define git_tree_entry_type (git_functions()->tree_entry_type)
#define git_tree_entrycount (git_functions()->tree_entrycount)
#define git_tree_free (git_functions()->tree_free)
#define git_tree_id (git_functions()->tree_id)
#define git_tree_lookup (git_functions()->tree_lookup)

#endif
