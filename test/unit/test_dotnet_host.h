/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_TEST_DOTNET_HOST_H
#define AC_TEST_DOTNET_HOST_H

/* The whole of appcore-dotnet.so between a host that notes what it is told and
 * fake_hostfxr.so in place of .NET: what the app does in Main is written in
 * App.dll.script. One thread but for what says otherwise. */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "appcore.h"

/* What the host was told, one line each. */
typedef struct heard_t {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t len;
    char text[65536];
} heard_t;

/* What was posted last; the test runs it. */
typedef struct posted_t {
    void (*fn)(void *app, appcore_request number, void *data, int result);
    void *data;
} posted_t;

extern heard_t heard;
extern posted_t posted;
extern void *app;
extern appcore_config config;

void host_setup(void);
void set(size_t i, const char *name, const char *value);
const char *fake_path(void);
void call_fake(const char *name);
int init(appcore_failure *failure);
void start(const char *script);
void shut_down(uint32_t limit_ms);
/* Any thread. */
void wait_for(const char *text);
int was_heard(const char *text);

#endif
