/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_BENEATH_H
#define AC_REQUEST_BENEATH_H

/* Opening a file that an app offers, where neither the name in a request nor a
 * link that the app's user made leads out of the folder.
 *
 * The kernel resolves beneath the folder (openat2); where it cannot, every
 * component is opened by itself and no symbolic link is followed. Only regular
 * files are found, of the app's user, or of root if everybody may read them: the
 * app's user could otherwise have httpd read for him what he may not. Names with
 * an empty segment, one that begins with a dot, or web.config are not found.
 *
 * Descriptors are O_PATH, so that nothing happens to what turns out to be no
 * file. Any thread; blocks on the disk. Needs neither httpd nor a pool. */

#include <sys/stat.h>
#include <sys/types.h>

/* A folder that configuration names, as an O_PATH descriptor, or -1 and errno.
 * What of it lies beneath the app's folder is resolved beneath that one. */
int ac_beneath_folder(const char *app_folder, const char *folder);

/* A file by its relative name, or -1 and errno: ENOENT not there or not to be
 * named, EXDEV a link leads out, EACCES the rules on owner, kind and links. */
int ac_beneath_file(int folder, const char *name, uid_t uid, struct stat *st);

/* May a request name it? */
int ac_beneath_name_allowed(const char *name);

#endif
