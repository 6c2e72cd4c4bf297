/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_HANDLER_H
#define AC_SPEC_HANDLER_H

/* Handler settings: what ANCM takes as name and value without a schema.
 *
 * They come from <handlerSettings> of a web.config and from
 * AppCoreHandlerSetting, and are merged like other settings
 * (ac_settings_t.handler_settings). Names are compared whatever their case. What
 * they mean is asked here, by whoever acts on one: for the manager that is
 * home->set, which has the web.config's in it. Pure functions over constants. */

#include <apr_pools.h>
#include "spec/settings.h"

#define AC_HANDLER_SHADOW_COPY "enableShadowCopy"
#define AC_HANDLER_SHADOW_COPY_6 "experimentalEnableShadowCopy"
#define AC_HANDLER_SHADOW_DIRECTORY "shadowCopyDirectory"
#define AC_HANDLER_SHADOW_CLEAN "cleanShadowCopyDirectory"
#define AC_HANDLER_NO_ROTATION "disallowRotationOnConfigChange"
#define AC_HANDLER_CONNECTION "forwardResponseConnectionHeader"
#define AC_HANDLER_NO_RECYCLE "suppressRecycleOnStartupTimeout"
#define AC_HANDLER_CONSOLE "enableOutOfProcessConsoleRedirection"
#define AC_HANDLER_CHDIR "setCurrentDirectory"

typedef struct ac_handler_t {
    const char *name;
    enum { AC_HANDLER_SWITCH, AC_HANDLER_NUMBER, AC_HANDLER_TEXT } type;
    const char *notice;         /* of its effect; NULL: it has that of ANCM */
} ac_handler_t;

/* NULL: ANCM has none of that name. */
const ac_handler_t *ac_handler_find(const char *name);

/* The rest of a sentence that begins with the directive's name when the
 * administrator may not write that, else NULL. */
const char *ac_handler_check(const char *name, const char *value, apr_pool_t *p);

/* Whether ANCM takes the value: it refuses none but numbers that are none. */
int ac_handler_is_valid(const char *name, const char *value);

/* A switch as ANCM reads it: only the opposite of the default, in any case of its
 * letters, changes it. */
int ac_handler_is_on(const ac_settings_t *set, const char *name, int otherwise);

#endif
