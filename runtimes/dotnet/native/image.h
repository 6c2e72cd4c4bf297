/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef APPCORE_DOTNET_IMAGE_H
#define APPCORE_DOTNET_IMAGE_H

/* Whether a file is a .NET assembly and wholly there. The runtime ends the process if
 * the app's is not, before any hook runs: half a deployment must not do that. Pure;
 * any bytes may be given. */

#include <stddef.h>
#include <stdint.h>

#define AC_IMAGE_HEAD 4096      /* as much of the file's beginning is looked at */

/* NULL if it is one, as far as its headers tell; else what it is instead. */
const char *ac_image_fault(const unsigned char *head, size_t len, uint64_t file_size);

#endif
