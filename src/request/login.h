/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_REQUEST_LOGIN_H
#define AC_REQUEST_LOGIN_H

/* Users in apps that are partly anonymous: the app decides which request needs a
 * login, httpd's authentication modules do it.
 *
 * httpd runs these modules only where it is told to require a user. Here they run
 * also for a request that brings credentials to a location with an AuthType, and
 * for their challenge when the app answers that it wants a user. Nobody becomes one
 * but by their word. Any worker, in the order of httpd's phases; blocks as long as
 * those modules do. */

#include "httpd.h"
#include "conf/conf.h"

/* After access control: logs a client in that brings what the location's AuthType
 * takes. OK, or what the client gets, with a wrong password for instance.
 * `was_checked`: httpd had its modules do so already. */
int ac_login_offer(request_rec *r, const ac_mount_t *mount, int was_checked);

/* The app answered 401: adds the location's challenge to err_headers_out. OK; or the
 * status of an answer that takes the place of the app's, as of a redirect; or
 * AC_ANSWERED when that was sent already. */
int ac_login_challenge(request_rec *r);

/* The user that httpd verified, or NULL. */
const char *ac_login_user(const request_rec *r);

#endif
