/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_INPROC_READER_H
#define AC_INPROC_READER_H

/* The process that reads what apps in process print.
 *
 * One per child of httpd that hosts apps, forked by it while it has one thread, with its
 * user and nothing but three descriptors. It is the relay's machinery for one stream:
 * lines go to the error log, to files that are rotated, or to a program, under
 * the same names and limits; but it opens files and starts programs itself, having no
 * more rights than the app. It ends when nobody can print any more, so it still reads
 * the last words of a child that crashed. */

#include <signal.h>
#include <stdatomic.h>
#include "shared/message.h"

/* What came first, in memory that reader and child share. */
typedef struct ac_reader_capture_t {
    _Atomic apr_size_t len;
    char data[AC_CAPTURE_MAX];
} ac_reader_capture_t;

typedef struct ac_reader_t {
    int in;                     /* of the pipe */
    int log;                    /* error log */
    int link;                   /* where the target comes, once; see ac_message_pair() */
    uint32_t pid;               /* of the child */
    ac_log_target_t usual;      /* if none comes in time */
    ac_reader_capture_t *capture;
    sigset_t blocked;           /* when it ignores those that are httpd's */
} ac_reader_t;

/* In the forked process, with all signals blocked. Closes what is not the reader's; never
 * returns. */
void ac_reader_main(const ac_reader_t *reader) __attribute__((noreturn));

/* The child: where output goes, and the folder in which a program is run. */
apr_status_t ac_reader_aim(int link, const ac_log_target_t *target, const char *folder);

#endif
