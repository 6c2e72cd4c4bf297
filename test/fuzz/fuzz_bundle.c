/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Any bytes as a program in an app's folder: what is found in there is in there. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <apr_general.h>
#include "spec/bundle.h"
#include "spec/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check(int fd, const uint8_t *data, size_t len, apr_pool_t *p)
{
    apr_size_t size = 0;
    const char *config = ac_bundle_config(fd, &size, p);
    int64_t at = ac_elf_find(fd, "{", 1, p);

    require(!config || (size > 0 && memmem(data, len, config, size)));
    require(at < 0 || ((uint64_t)at < len && data[at] == '{'));
    (void)ac_elf_exports(fd, "appcore_app_v1", p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    if (fd >= 0 && write(fd, data, len) == (ssize_t)len) {
        check(fd, data, len, p);
    }
    if (fd >= 0) {
        close(fd);
    }
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}
