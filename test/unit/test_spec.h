/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_SPEC_H
#define AC_TEST_SPEC_H

#include <stdlib.h>
#include <string.h>
#include <check.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include "spec/launch.h"
#include "spec/look_as.h"
#include "spec/spec.h"

extern apr_pool_t *p;           /* made and destroyed around every test */

/* With the fixture that makes p, before any other fixture. */
TCase *case_create(const char *name);

TCase *merge_case(void);
TCase *wire_case(void);
TCase *env_case(void);
TCase *text_case(void);
TCase *webconfig_case(void);
TCase *look_case(void);
TCase *look_dotnet_case(void);
TCase *look_files_case(void);
TCase *folder_case(void);
TCase *companion_case(void);
TCase *bundle_case(void);
TCase *survey_case(void);
TCase *shadow_case(void);

/* Settings by hand. */
static inline void add_var(ac_settings_t *set, ac_origin_e origin, const char *name,
                           const char *value)
{
    ac_env_var_t var = { .name = name, .value = value };

    APR_ARRAY_PUSH(set->environment.v, ac_env_var_t) = var;
    set->environment.origin = origin;
}

static inline void add_handler(ac_settings_t *set, ac_origin_e origin, const char *name,
                               const char *value)
{
    ac_env_var_t setting = { .name = name, .value = value };

    APR_ARRAY_PUSH(set->handler_settings.v, ac_env_var_t) = setting;
    set->handler_settings.origin = origin;
}

/* A folder for one test, made new below a temporary one: test_spec_folder.c. */
extern char folder[];
void make_folder(void);
void remove_folder(void);
void put_file(const char *name, const char *text);
void put_bytes(const char *name, const void *data, size_t len);
void put_program(const char *name);
const char *in_folder(const char *name);

/* A look at that folder with PATH set to `bin` below it, so that no program of
 * the machine takes part; `set` may be NULL. */
ac_launch_t *look_at(const ac_settings_t *set);
const char *words(const apr_array_header_t *list);      /* joined with "|" */
int mentions(const apr_array_header_t *list, const char *text);

#define ck_launch(launch) \
    ck_assert_msg((launch)->result.fault == AC_FAULT_NONE, "%s", (launch)->result.detail)
#define ck_argv(launch, text) ck_assert_str_eq(words((launch)->argv), text)
#define ck_fault(launch, f, text) \
    do { \
        ck_assert_int_eq((launch)->result.fault, f); \
        ck_assert_int_eq((launch)->result.stage, AC_STAGE_LOOK); \
        ck_assert_msg(strstr((launch)->result.detail, text) != NULL, "%s", \
                      (launch)->result.detail); \
        ck_assert_int_eq((launch)->argv->nelts, 0); \
    } while (0)

#endif
