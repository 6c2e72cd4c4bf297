/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "relay/capture.h"

#include <stdlib.h>
#include <string.h>
#include "shared/message.h"

#define FIRST_SIZE 512

/* 1 if there is room for n more bytes. */
static int grow(ac_capture_t *capture, apr_size_t n)
{
    apr_size_t size = capture->size ? capture->size : FIRST_SIZE;
    char *data;

    while (size < capture->len + n) {
        size *= 2;
    }
    if (size > AC_CAPTURE_MAX) {
        size = AC_CAPTURE_MAX;
    }
    if (size == capture->size) {
        return 1;
    }
    data = realloc(capture->data, size);
    if (!data) {
        return 0;
    }
    capture->data = data;
    capture->size = size;
    return 1;
}

void ac_capture_add(ac_capture_t *capture, const char *data, apr_size_t len)
{
    apr_size_t room = AC_CAPTURE_MAX - capture->len;

    if (len > room) {
        len = room;
    }
    if (len && grow(capture, len)) {
        memcpy(capture->data + capture->len, data, len);
        capture->len += len;
    }
}

void ac_capture_release(ac_capture_t *capture)
{
    free(capture->data);
    memset(capture, 0, sizeof(*capture));
}
