/* AWS's shared files, STS's answers, and the times in both. */
#include <stdint.h>
#include <stdlib.h>

#include "aws/credentials_internal.h"
#include "aws/ecr.h"
#include "aws/sts.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_freep) char *text = mem_strndup((const char *)data, size);
    for (int file = AWS_FILE_CONFIG; file <= AWS_FILE_CREDENTIALS; file++) {
        AUTO(aws_profiles_release) struct aws_profiles profiles = {0};
        aws_profiles_parse(&profiles, (enum aws_file)file, text);
        for (size_t i = 0; i < profiles.len; i++) {
            const struct aws_setting *s = &profiles.items[i];
            if (!s->section || (s->name && !s->value)) {
                abort();
            }
        }
        aws_profile_get(&profiles, "default", "region");
    }
    AUTO(mem_freep) char *element = sts_element(text, "A");
    struct ecr_host host;
    aws_parse_time(text);
    ecr_host_parse(text, &host);
    return 0;
}
