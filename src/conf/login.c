/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Where the administrator asks for a login. An app must know before its first
 * request whether there can be users, and httpd answers that for requests alone.
 * So it is read off what was written: the AuthType of each <Location>. Folders and
 * files do not concern an app's URLs. A section whose URLs cannot be told from its
 * text (patterns, <If>) counts for all: the app is then ready for a user that never
 * comes. */

#include "conf/config.h"

#include <string.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>
#include "http1/target.h"
#include "http_core.h"

typedef struct ac_config_login_t {
    const char *host;           /* place of its virtual host; NULL: of all */
    const char *path;           /* without trailing slash; NULL: any */
    int asked;                  /* 0: AuthType None */
} ac_config_login_t;

/* What the section says last, deeper ones included: 1, 0 for None, -1 nothing. */
static int says(const ap_directive_t *d, apr_pool_t *p)
{
    int asked = -1;

    for (; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "AuthType")) {
            const char *args = d->args;

            asked = ap_cstr_casecmp(ap_getword_conf(p, &args), "None") != 0;
        }
        else if (d->first_child && says(d->first_child, p) == 1) {
            asked = 1;
        }
    }
    return asked;
}

/* The path of <Location PATH>, or NULL for a pattern. */
static const char *path_of(const ap_directive_t *d, apr_pool_t *p)
{
    const char *args = d->args;
    char *path;
    apr_size_t len;

    if (ap_cstr_casecmp(d->directive, "<Location")) {
        return NULL;
    }
    path = ap_getword_conf(p, &args);
    len = strlen(path);
    while (len && (path[len - 1] == '>' || path[len - 1] == '/')) {
        path[--len] = '\0';
    }
    return (len && *path != '/') || apr_fnmatch_test(path) ? NULL : path;
}

static int is_section(const ap_directive_t *d)
{
    return !ap_cstr_casecmp(d->directive, "<Location")
           || !ap_cstr_casecmp(d->directive, "<LocationMatch")
           || !ap_cstr_casecmpn(d->directive, "<If", 3)
           || !ap_cstr_casecmpn(d->directive, "<Else", 5);
}

static void collect(ac_config_pass_t *pass, const ap_directive_t *d, const char *host)
{
    for (; d; d = d->next) {
        int asked = is_section(d) ? says(d->first_child, pass->ptemp) : -1;

        if (asked >= 0) {
            ac_config_login_t *login = apr_array_push(pass->logins);

            login->host = host;
            login->path = path_of(d, pass->ptemp);
            login->asked = asked;
        }
        else if (!host && !ap_cstr_casecmp(d->directive, "<VirtualHost")) {
            collect(pass, d->first_child,
                    ac_config_place(d->filename, d->line_num, pass->ptemp));
        }
    }
}

void ac_config_find_logins(ac_config_pass_t *pass)
{
    pass->logins = apr_array_make(pass->ptemp, 4, sizeof(ac_config_login_t));
    collect(pass, ap_conftree, NULL);
}

/* What the sections of one host, or those of all, say about a prefix. */
static void weigh(const ac_config_pass_t *pass, const char *host, const char *prefix,
                  int *paround, int *pbelow)
{
    const ac_config_login_t *login = (const ac_config_login_t *)pass->logins->elts;
    int i;

    for (i = 0; i < pass->logins->nelts; ++i, ++login) {
        if (host ? !login->host || strcmp(login->host, host) : login->host != NULL) {
            continue;
        }
        if (login->path && ac_target_in_mount(prefix, login->path)) {
            *paround = login->asked;
        }
        else if (!login->path || ac_target_in_mount(login->path, prefix)) {
            *pbelow |= login->asked;
        }
    }
}

int ac_config_has_login(const ac_config_pass_t *pass, const server_rec *s,
                        const char *prefix)
{
    int around = 0, below = 0;

    if (!pass->logins->nelts) {
        return 0;
    }
    weigh(pass, NULL, prefix, &around, &below);
    if (s->is_virtual) {
        weigh(pass, ac_config_place(s->defn_name, s->defn_line_number, pass->ptemp),
              prefix, &around, &below);
    }
    return around || below;
}
