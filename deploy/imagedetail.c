#include "deploy/imagedetail.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { IMAGE_MAX = 255 };

int image_uri_check(const char *image, struct error *err)
{
    AUTO(json_freep) json_t *text = json_string(image);
    size_t len = strcspn(image, "@");
    if (len == 0) {
        return error_set(err, ERR_USAGE, "the image's name is empty");
    }
    if (!text) {
        return error_set(err, ERR_USAGE, "the image's name is not UTF-8");
    }
    if (image[strcspn(image, " \t\r\n\"<>")] != '\0') {
        return error_set(err, ERR_USAGE, "'%s' is no name of an image", image);
    }
    if (len > IMAGE_MAX) {
        return error_set(err, ERR_USAGE,
                         "the image's name has %zu bytes, and ECS takes at most %d: %s", len,
                         IMAGE_MAX, image);
    }
    return 0;
}

int imagedetail_render(const char *image, struct buf *out, struct error *err)
{
    if (image_uri_check(image, err) != 0) {
        return error_wrap(err, "imageDetail");
    }
    AUTO(json_freep) json_t *object = json_pack("{s:s}", "ImageURI", image);
    json_render(object, out);
    return 0;
}

int imagedetail_write(const char *image, int dirfd, const char *path, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (imagedetail_render(image, &text, err) != 0) {
        return -1;
    }
    return file_write_atomic(dirfd, path, text.data, text.len, 0644, true, err);
}
