/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_MANAGER_KEEPER_H
#define AC_TEST_MANAGER_KEEPER_H

/* Everybody around a manager, played by the test: keeper, relay, httpd's child
 * and the app. The manager is a real process. */

#include <sys/types.h>
#include "base/result.h"
#include "shared/board.h"
#include "shared/message.h"
#include "shared/process.h"
#include "shared/rows.h"
#include "spec/launch.h"

typedef struct keeper_t {
    pid_t manager;
    int link;                   /* to the manager */
    int relay;                  /* the relay's end of its link */
    int wake;                   /* httpd's child sends here */
    int notify;                 /* receiving end, the manager's */
    int wakes;                  /* eventfd of httpd's child */
    int board_fd, rows_fd, wake_fd;
    ac_board_t *board;
    ac_rows_t *rows;
    char dir[64];
    ac_settings_t *set;         /* of the one app; change before configure() */
    ac_spec_t spec;
    unsigned log_level;
} keeper_t;

extern keeper_t k;

void keeper_setup(void);
void keeper_teardown(void);
/* A child that ends with the test, however that ends. */
pid_t helper_fork(void);
/* Another manager, told of no process yet. */
void manager_start(void);
void manager_kill(void);
void configure_app(void);
void begin(void);

/* What the manager asked for last. */
typedef struct asked_t {
    ac_message_e type;
    uint64_t tag;
    uint64_t app_id;
    uint32_t slot, generation, reach, proc, shutdown_limit;
    uint64_t heir_of;
    uint32_t signal;
    int group;
    const char **argv, **env;
    const void *note;
    apr_size_t note_len;
} asked_t;

/* The next message but notes; it must be of that type. */
void expect(asked_t *asked, ac_message_e type);
/* The last note of all that came. */
extern const void *last_note;
extern apr_size_t last_note_len;
/* Nothing but notes comes for that long. */
void expect_silence(int ms);
const char *env_of(const asked_t *asked, const char *name);

ac_launch_t *launch_default(unsigned reach);
void answer_look(const asked_t *asked, const ac_launch_t *launch);
/* A listening socket at its place; the app's end is returned. */
int answer_listen(const asked_t *asked);
/* Pretends that `pid` was forked and runs. */
void answer_spawn(const asked_t *asked, pid_t pid);
void answer_executed(const asked_t *asked, ac_fault_e fault);
void answer_number(ac_message_e type, uint64_t tag, uint32_t number);
void answer_capture(const char *output);

/* httpd's child: row of this process, eventfd registered. */
int child_hello(void);
void wake(void);
/* Waits until the app's entry is in that state; a copy of it. */
ac_board_app_t wait_state(ac_app_state_e state);
/* The same, and a failure more than at the start of the test is shown. */
ac_board_app_t wait_failure(ac_app_state_e state);
/* Reads lines for the log until one contains text; 0 if none does. */
int relay_says(const char *text);
int connect_tcp_listener(uint32_t port);

/* Fixture: everybody, and an app's process that only waits. */
extern pid_t app_pid;
void world_of_processes(void);
void end_of_processes(void);
/* Up to the spawned process; the app's listener, if it gets one. */
int start_app(asked_t *spawn, const ac_launch_t *launch);
void accept_one(int fd);
/* Configured, and running on an inherited socket. */
int run_app(asked_t *spawn);

#endif
