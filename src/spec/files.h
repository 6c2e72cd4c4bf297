/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_FILES_H
#define AC_SPEC_FILES_H

/* Files of an app whose change asks for another process: AppCoreRecycleOnFileChange.
 *
 * A pattern is a path below the app's folder; its last segment may have *, ? and
 * [...]. Whoever looks at the folder watches what leads to such files and marks
 * them; whoever gets the events asks whether a name may concern them. */

#include <stdint.h>
#include <apr_tables.h>
#include "spec/folder.h"
#include "spec/watcher.h"

#define AC_FILES_MAX 16                 /* patterns of an app */

int ac_files_is_pattern(const char *text);

/* Could a file or folder of that name, wherever it is, concern one of them? */
int ac_files_may_match(const apr_array_header_t *patterns, const char *name);

/* A fingerprint of the files that match, 0 without patterns. May block on the disk. */
uint64_t ac_files_mark(const ac_folder_t *folder, const apr_array_header_t *patterns,
                       ac_watcher_t *watcher);

#endif
