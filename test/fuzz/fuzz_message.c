/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Control messages: the first byte says how many descriptors ride along, the
 * rest is the packet. It crosses a real link; then the parts that bodies are
 * made of are decoded from it in an order that the input chooses. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_general.h>

#include "base/result.h"
#include "shared/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void decode(ac_message_t *msg, apr_pool_t *p)
{
    ac_wire_reader_t r = msg->body;
    ac_log_target_t target;
    ac_result_t result;
    apr_size_t n;
    uint32_t count;

    ac_wire_get_u64(&r);
    ac_result_get(&r, &result);
    if (strlen(result.detail) >= sizeof(result.detail)) {
        abort();
    }
    r = msg->body;
    ac_wire_get_u64(&r);
    ac_wire_get_u32(&r);
    ac_log_target_get(&r, &target, p);
    if (ac_wire_reader_end(&r) == APR_SUCCESS && target.mode > AC_LOG_NONE) {
        abort();
    }
    r = msg->body;
    for (count = ac_wire_get_count(&r, 512); count; --count) {
        ac_wire_get_str(&r, p);
    }
    ac_wire_get_bytes(&r, &n);
    if (n > r.len) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static unsigned char buf[AC_MESSAGE_MAX];
    apr_pool_t *p;
    ac_wire_writer_t w;
    ac_message_t msg;
    int links[2], fds[AC_MESSAGE_FDS], i, n;

    if (len < 2 || len > AC_MESSAGE_MAX) {
        return 0;
    }
    apr_initialize();
    apr_pool_create(&p, NULL);
    if (ac_message_pair(links) != APR_SUCCESS) {
        abort();
    }
    n = data[0] % (AC_MESSAGE_FDS + 1);
    for (i = 0; i < n; ++i) {
        fds[i] = links[0];
    }
    ac_wire_writer_init(&w, AC_MESSAGE_MAX, p);
    w.data = (unsigned char *)data + 1;
    w.len = len - 1;
    if (ac_message_send(links[0], &w, fds, n) == APR_SUCCESS
        && ac_message_receive(links[1], buf, &msg) == APR_SUCCESS) {
        if (msg.n_fds != n) {
            abort();
        }
        decode(&msg, p);
        ac_message_done(&msg);
    }
    close(links[0]);
    close(links[1]);
    apr_pool_destroy(p);
    return 0;
}
