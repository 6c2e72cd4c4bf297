/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "request/policy.h"

#include <string.h>

/* The order of the list: length descending, then bytes. */
static int compare(const ac_prefix_t *mount, const char *path, apr_size_t len)
{
    if (mount->prefix_len != len) {
        return mount->prefix_len > len ? -1 : 1;
    }
    return memcmp(mount->prefix, path, len);
}

static const ac_prefix_t *element(const void *list, apr_size_t stride, int i)
{
    return (const ac_prefix_t *)((const char *)list + stride * (apr_size_t)i);
}

static int find_exact(const void *list, apr_size_t stride, int n, const ac_prefix_t *key)
{
    int low = 0, high = n;

    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = compare(element(list, stride, middle), key->prefix, key->prefix_len);

        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return -1;
}

int ac_policy_match(const void *list, apr_size_t stride, int n, const char *path)
{
    ac_prefix_t key = { .prefix = path };

    if (n <= 0 || *path != '/') {
        return -1;
    }
    /* A path of thousands of slashes costs no more than the longest prefix. */
    key.prefix_len = strnlen(path, element(list, stride, 0)->prefix_len + 1);
    for (;; key.prefix_len--) {
        int found = -1;

        if (path[key.prefix_len] == '\0' || path[key.prefix_len] == '/') {
            found = find_exact(list, stride, n, &key);
        }
        if (found >= 0 || key.prefix_len == 0) {
            return found;
        }
    }
}

unsigned ac_policy_all_workers(unsigned threads)
{
    unsigned reserve = (threads + 7) / 8;

    return threads > reserve ? threads - reserve : 1;
}

unsigned ac_policy_app_workers(apr_int64_t setting, unsigned threads)
{
    apr_int64_t n = setting >= 0 ? setting : (apr_int64_t)threads * -setting / 100;
    unsigned all = ac_policy_all_workers(threads);

    return n < 1 ? 1 : n > (apr_int64_t)all ? all : (unsigned)n;
}

unsigned ac_policy_threads(unsigned threads, unsigned waiting, unsigned weight)
{
    unsigned taken = waiting / weight;

    return taken < threads ? threads - taken : 1;
}

#define NAP_FIRST apr_time_from_msec(3)
#define NAP_DOUBLINGS 5

apr_interval_time_t ac_policy_nap(unsigned n)
{
    unsigned doublings = n > NAP_DOUBLINGS ? NAP_DOUBLINGS : n;

    return NAP_FIRST << doublings;
}

int ac_policy_hope(const ac_board_app_t *app, apr_time_t now)
{
    switch (app->state) {
    case AC_APP_BROKEN:
    case AC_APP_REFUSED:
        return now >= app->retry_at;
    case AC_APP_STOPPING:
    case AC_APP_REMOVED:
    case AC_APP_OFFLINE:
        return 0;
    default:
        return 1;
    }
}
