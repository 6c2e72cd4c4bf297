/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Headers of assemblies. What is an assembly stays one if the file is longer, and what
 * is none does not become one by less of its beginning being known. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native/image.h"

#define CHECK(condition) do { if (!(condition)) { abort(); } } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *fault = ac_image_fault(data, len, len);
    const char *longer = ac_image_fault(data, len, UINT64_MAX);

    CHECK(fault || !longer);
    CHECK(!longer || (fault && !strcmp(longer, fault)));
    CHECK((len == 0) == (fault && !strcmp(fault, "is empty")));
    if (len > 0 && longer) {
        CHECK(ac_image_fault(data, len - 1, UINT64_MAX));
    }
    return 0;
}
