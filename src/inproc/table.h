/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_TABLE_H
#define AC_INPROC_TABLE_H

/* The functions that an app may call (include/appcore.h says what each does). They
 * look their number up and do nothing for one that leads nowhere. */

#include "inproc/call.h"
#include "inproc/thread.h"

/* inproc/mail.c */
int ac_table_post(appcore_request number,
                  void (*fn)(void *app, appcore_request, void *data, int result),
                  void *data);
int ac_table_complete(appcore_request number, int result);
int ac_table_aborted(appcore_request number);
int ac_table_abort(appcore_request number);
int ac_table_reset(appcore_request number, uint32_t code);

/* inproc/answer.c, inproc/send.c (write), inproc/sendfile.c */
int ac_table_start(appcore_request number, int status, appcore_str reason,
                   const appcore_field *fields, size_t n);
int ac_table_respond(appcore_request number, int status, appcore_str reason,
                     const appcore_field *fields, size_t n,
                     const struct iovec *body, size_t n_body);
int ac_table_inform(appcore_request number, int status, const appcore_field *fields,
                    size_t n);
int64_t ac_table_write(appcore_request number, const struct iovec *data, size_t n,
                       uint32_t flags);
int ac_table_sendfile(appcore_request number, appcore_str path, int64_t offset,
                      int64_t length, uint32_t flags);
int ac_table_trailer(appcore_request number, appcore_str name, appcore_str value);

/* inproc/receive.c */
int64_t ac_table_read(appcore_request number, void *data, size_t size, uint32_t flags);
int ac_table_upgrade(appcore_request number, const appcore_field *fields, size_t n);
int ac_table_limit_body(appcore_request number, int64_t size);

/* inproc/facts.c */
int ac_table_var_get(appcore_request number, appcore_str name, appcore_str *value);
int ac_table_var_set(appcore_request number, appcore_str name, appcore_str value);
int ac_table_close_connection(appcore_request number);
void ac_table_log(const appcore_host *host, appcore_request number, int level,
                  appcore_str text);
int ac_table_log_level(const appcore_host *host, appcore_request number);

#endif
