/* Entries of a cache in a registry: what strangers put there. What was taken must be usable, and
 * rendered again be taken again as the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "builder/remote_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct step_result result = {0};
    struct step_result again = {0};
    struct descriptor config = {.media_type = MEDIA_OCI_CONFIG, .size = 2};
    struct error err = {0};
    struct digest key;
    digest_of("key", 3, &key);
    digest_of("{}", 2, &config.digest);
    if (remote_entry_parse(data, size, &key, &result, &err) != 0) {
        if (err.code != ERR_REMOTE || !err.text[0]) {
            abort();
        }
        return 0;
    }
    remote_entry_manifest(&key, &result, "RUN true", &config, &text);
    if (remote_entry_parse(text.data, text.len, &key, &again, &err) != 0 ||
        again.empty != result.empty ||
        (!again.empty && (!digest_equal(&again.layer.diff_id, &result.layer.diff_id) ||
                          again.layer.blob.size != result.layer.blob.size))) {
        abort();
    }
    return 0;
}
