/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_KEEPER_H
#define AC_TEST_KEEPER_H

/* A keeper with a test in the place of httpd's parent, manager and relay.
 *
 * The manager and relay that it forks only pass their links to the test and
 * wait: what they would say, the test says. */

#include <stdlib.h>
#include <sys/types.h>
#include <check.h>
#include <apr_general.h>
#include <apr_pools.h>
#include "shared/message.h"
#include "shared/process.h"
#include "spec/launch.h"
#include "spec/spec.h"

#define APP 0x1122334455667788u
#define OTHER_USER 4321         /* nobody has it */

extern apr_pool_t *p;

typedef struct harness_t {
    pid_t keeper;
    int keeper_pidfd;
    int control;
    int board, rows, wake, wake_send;
    int listener;               /* where the fakes report */
    int manager;                /* links that they passed on */
    int relay;
    pid_t manager_pid;
    pid_t relay_pid;
    const char *dir;            /* everything below it */
    const char *runtime;
    const char *folder;         /* of the app */
    ac_settings_t *set;         /* of the app; changed before harness_configure() */
    uint32_t serial;
    uint32_t shutdown_limit;    /* of what is started, seconds */
} harness_t;

extern harness_t h;

/* Fixtures. */
void harness_start(void);
void harness_stop(void);        /* and proves that nothing is left */
void harness_no_keeper(void);   /* folders alone */

void harness_remove(const char *path);

void harness_fork_keeper(void);
void harness_send_config(void);
void harness_configure(void);   /* and waits for the ACK */
void harness_links(void);       /* waits for both fakes */
int harness_next_link(pid_t *ppid, int *pis_relay);

int is_root(void);
int process_gone(pid_t pid);    /* not there, or a zombie */
int wait_readable(int fd, int msec);
void wait_pidfd(int pidfd);
/* Waits until cond holds, looked at again and again; fails after 5 s. */
#define UNTIL(cond) \
    do { \
        int tries_; \
        for (tries_ = 0; !(cond) && tries_ < 5000; ++tries_) { \
            poll(NULL, 0, 1); \
        } \
        ck_assert_msg(cond, "in vain: %s", #cond); \
    } while (0)

/* Messages as the manager or relay. Descriptors of the last one received stay
 * open until the next. */
void say(int link, ac_wire_writer_t *w);
void say_tag(ac_message_e type, uint64_t tag);
ac_message_t *hear(int link, ac_message_e type);
ac_message_t *hear_tag(ac_message_e type, uint64_t tag);
int taken_fd(ac_message_t *msg, int i);

void ask_listen(uint64_t tag, uint32_t generation, uint32_t reach, uint64_t heir_of);
int listen_fd(uint64_t tag, uint32_t generation, uint64_t heir_of);
/* argv is NULL-terminated; env gets PATH. */
void ask_spawn(uint64_t tag, uint32_t reach, const ac_log_target_t *log,
               const char *const *argv);
void ask_shell(uint64_t tag, uint32_t reach, const char *script);
void ask_signal(uint64_t tag, int sig, int group);
pid_t spawned(uint64_t tag);
ac_result_t executed(uint64_t tag);
int exited(uint64_t tag);
/* Starts it and reads its output from the stream that the relay got. */
pid_t run_shell(uint64_t tag, const char *script);
extern int app_out;             /* reading ends of the last STREAM */
extern int app_err;
void take_stream(uint64_t tag);
const char *read_line(int fd);
const char *in_dir(const char *name);

TCase *unit_case(void);
TCase *run_case(void);
TCase *socket_case(void);
TCase *end_case(void);
TCase *log_case(void);
TCase *refused_case(void);

#endif
