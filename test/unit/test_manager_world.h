/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_MANAGER_WORLD_H
#define AC_TEST_MANAGER_WORLD_H

/* A world for the state machine: it takes every action and writes it down as a
 * word; the test says what happens. Time is a number. */

#include "manager/supervise.h"

#define APP 7
#define SECOND APR_USEC_PER_SEC

extern ac_sup_t *sup;
extern apr_time_t now;
extern unsigned load;           /* requests, for whoever measures */

void world_setup(void);
void world_teardown(void);

/* One configuration of app APP: digest of equal bytes d. */
void configure(unsigned char d, const ac_sup_conf_t *conf);
void configure_none(void);
ac_sup_conf_t conf_default(void);
ac_sup_app_t *app(void);

/* What was done since the last call, as "look listen:1 spawn:1": a process is
 * named by its generation. */
const char *done(void);
void forget_done(void);
#define ck_done(expected) ck_assert_str_eq(done(), expected)

ac_sup_proc_t *proc(uint32_t generation);
/* Answers without a fault. */
void looked(void);
void listening(uint32_t generation);
void executed(uint32_t generation);
void ready(uint32_t generation);
void exited(uint32_t generation);
void fails(ac_result_t *res, ac_fault_e fault);
/* From LISTEN to READY; leaves nothing in done(). */
void bring_up(uint32_t generation);
/* Wakes the cold app, brings generation 1 up. */
void start_first(void);
void reported(void);
/* Time passes up to then, stopping at every timer. */
void pass(apr_interval_time_t span);

#endif
