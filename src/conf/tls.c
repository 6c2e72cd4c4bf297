/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Which servers speak TLS. Nobody answers that before there are connections:
 * mod_ssl's http_scheme hook looks at the connection (httpd 2.4.71). So it is read
 * off what the administrator wrote, which is what mod_ssl goes by as well:
 * ServerName https://…, the protocol of the Listen directive (https by default on
 * port 443), and SSLEngine in the virtual host or outside of all. */

#include "conf/config.h"

#include <string.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include "http_core.h"

/* Of one level of the tree: 1 on, 0 off, -1 not said; the last one counts. */
static int engine_of(const ap_directive_t *d)
{
    int on = -1;

    for (; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "SSLEngine")
            || !ap_cstr_casecmp(d->directive, "NSSEngine")
            || !ap_cstr_casecmp(d->directive, "GnuTLSEnable")) {
            on = !ap_cstr_casecmp(d->args, "on") || !ap_cstr_casecmp(d->args, "optional");
        }
    }
    return on;
}

static apr_hash_t *engines(ac_config_pass_t *pass, int *pglobal)
{
    apr_hash_t *found = apr_hash_make(pass->ptemp);
    const ap_directive_t *d;

    for (d = ap_conftree; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "<VirtualHost")) {
            int *on = apr_palloc(pass->ptemp, sizeof(*on));

            *on = engine_of(d->first_child);
            apr_hash_set(found, ac_config_place(d->filename, d->line_num, pass->ptemp),
                         APR_HASH_KEY_STRING, on);
        }
    }
    *pglobal = engine_of(ap_conftree);
    return found;
}

static int speaks_tls(const ac_config_pass_t *pass, server_rec *s, const int *engine)
{
    const char *protocol = ap_get_server_protocol(s);
    int on = engine ? *engine : -1;

    if (on < 0) {
        on = pass->tls_global;
    }
    if (on >= 0) {
        return on;
    }
    return (s->server_scheme && !strcmp(s->server_scheme, "https"))
        || (protocol && !strcmp(protocol, "https"));
}

void ac_config_find_tls(ac_config_pass_t *pass)
{
    apr_hash_t *found = engines(pass, &pass->tls_global);
    server_rec *s;

    pass->tls = apr_hash_make(pass->ptemp);
    for (s = pass->main; s; s = s->next) {
        const int *engine = s->is_virtual
            ? apr_hash_get(found, ac_config_place(s->defn_name, s->defn_line_number,
                                           pass->ptemp),
                           APR_HASH_KEY_STRING)
            : NULL;

        if (speaks_tls(pass, s, engine)) {
            server_rec **key = apr_pmemdup(pass->ptemp, &s, sizeof(s));

            apr_hash_set(pass->tls, key, sizeof(*key), s);
        }
    }
}

const char *ac_config_scheme(const ac_config_pass_t *pass, const server_rec *s)
{
    return apr_hash_get(pass->tls, &s, sizeof(s)) ? "https" : "http";
}
