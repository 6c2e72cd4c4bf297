/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_STATIC_H
#define AC_REQUEST_STATIC_H

/* Files that httpd sends itself: AppCoreStaticFiles and AppCoreSendfile.
 *
 * GET and HEAD only; validators, conditions and ranges as for any file of
 * httpd's; the type from mod_mime's map by the name's extensions, never a handler
 * or filter by them. The request has passed authorization for its URL before.
 * Which files are sent is decided in request/beneath.h. Called by the handler, on
 * the thread that has the request; blocks on disk and client. uid is the app's
 * user, (uid_t)-1 while it is not known: then only files of root are sent. */

#include "httpd.h"
#include "conf/conf.h"

/* OK: the file was sent. DECLINED: no such file, the app is to be asked. */
int ac_static_serve(request_rec *r, const ac_mount_t *mount, uid_t uid);

/* Sends what the app named in X-Sendfile (a path inside one of the folders) or
 * X-Accel-Redirect (a name relative to one, with or without the folder's own
 * name in front) as the body of its response, whose status and headers are in r
 * already. Those headers and all that describe the app's own body are removed.
 * OK or an HTTP status, logged. */
int ac_static_sendfile(request_rec *r, const ac_mount_t *mount, uid_t uid,
                       const char *path);

/* Is this response header an instruction to us? Its value is the path. */
int ac_static_is_sendfile_header(const char *name);

#endif
