/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/spec.h"

#include <string.h>
#include <apr_sha1.h>

static void put_described(ac_wire_writer_t *w, const ac_spec_t *spec)
{
    ac_wire_put_u64(w, spec->id);
    ac_wire_put_str(w, spec->name);
    ac_wire_put_u8(w, spec->named ? 1 : 0);
    ac_wire_put_str(w, spec->prefix);
    ac_wire_put_str(w, spec->folder);
    ac_wire_put_str(w, spec->host);
    ac_wire_put_str(w, spec->scheme);
    ac_wire_put_u32(w, spec->port);
    ac_wire_put_u32(w, spec->https_port);
    ac_wire_put_u8(w, spec->login ? 1 : 0);
    ac_wire_put_str(w, spec->default_user);
    ac_wire_put_str(w, spec->state_dir);
    ac_wire_put_str(w, spec->companions);
    ac_settings_put(w, spec->set);
}

static uint64_t make_id(const ac_spec_t *spec)
{
    const char *what = spec->named ? spec->name : spec->folder;
    unsigned char sha[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t ctx;
    uint64_t id;

    apr_sha1_init(&ctx);
    apr_sha1_update(&ctx, what, (unsigned)strlen(what) + 1);
    apr_sha1_update(&ctx, spec->prefix, (unsigned)strlen(spec->prefix));
    apr_sha1_final(sha, &ctx);
    memcpy(&id, sha, sizeof(id));
    return id ? id : 1;
}

void ac_spec_seal(ac_spec_t *spec, apr_pool_t *ptemp)
{
    ac_wire_writer_t w;
    apr_sha1_ctx_t ctx;

    spec->id = make_id(spec);
    ac_wire_writer_init(&w, AC_SPEC_TABLE_MAX, ptemp);
    put_described(&w, spec);
    apr_sha1_init(&ctx);
    apr_sha1_update_binary(&ctx, w.data, (unsigned)w.len);
    apr_sha1_final(spec->digest, &ctx);
}

static void put_globals(ac_wire_writer_t *w, const ac_globals_t *g)
{
    ac_wire_put_str(w, g->runtime_dir);
    ac_wire_put_str(w, g->state_dir);
    ac_wire_put_str(w, g->companions);
    ac_wire_put_str(w, g->server_user);
    ac_wire_put_u32(w, g->server_uid);
    ac_wire_put_u32(w, g->server_gid);
    ac_wire_put_u32(w, g->max_spawns);
    ac_wire_put_u32(w, g->log_level);
}

void ac_spec_table_put(ac_wire_writer_t *w, const ac_spec_table_t *table)
{
    int i;

    put_globals(w, &table->globals);
    ac_wire_put_u32(w, (uint32_t)table->specs->nelts);
    for (i = 0; i < table->specs->nelts; ++i) {
        const ac_spec_t *spec = APR_ARRAY_IDX(table->specs, i, const ac_spec_t *);

        put_described(w, spec);
        ac_wire_put_u32(w, spec->log_index);
        ac_wire_put_u32(w, spec->log_level);
        ac_wire_put_u32(w, spec->plain_level);
        ac_wire_put_bytes(w, spec->digest, sizeof(spec->digest));
    }
}

static void get_globals(ac_wire_reader_t *r, ac_globals_t *g, apr_pool_t *p)
{
    g->runtime_dir = ac_wire_get_str(r, p);
    g->state_dir = ac_wire_get_str(r, p);
    g->companions = ac_wire_get_str(r, p);
    g->server_user = ac_wire_get_str(r, p);
    g->server_uid = ac_wire_get_u32(r);
    g->server_gid = ac_wire_get_u32(r);
    g->max_spawns = ac_wire_get_u32(r);
    g->log_level = ac_wire_get_u32(r);
    if (!g->runtime_dir || *g->runtime_dir != '/') {
        r->status = APR_EINVAL;
    }
}

static void get_digest(ac_wire_reader_t *r, ac_spec_t *spec)
{
    apr_size_t len;
    const void *digest = ac_wire_get_bytes(r, &len);

    if (len == sizeof(spec->digest)) {
        memcpy(spec->digest, digest, len);
    }
    else {
        r->status = APR_EINVAL;
    }
}

static int is_described(const ac_spec_t *spec)
{
    return spec->id && spec->name && *spec->name && spec->set
           && spec->prefix && (!*spec->prefix || *spec->prefix == '/')
           && spec->folder && *spec->folder == '/'
           && spec->port <= 65535 && spec->https_port <= 65535;
}

static ac_spec_t *get_spec(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_spec_t *spec = apr_pcalloc(p, sizeof(*spec));

    spec->id = ac_wire_get_u64(r);
    spec->name = ac_wire_get_str(r, p);
    spec->named = ac_wire_get_u8(r);
    spec->prefix = ac_wire_get_str(r, p);
    spec->folder = ac_wire_get_str(r, p);
    spec->host = ac_wire_get_str(r, p);
    spec->scheme = ac_wire_get_str(r, p);
    spec->port = ac_wire_get_u32(r);
    spec->https_port = ac_wire_get_u32(r);
    spec->login = ac_wire_get_u8(r);
    spec->default_user = ac_wire_get_str(r, p);
    spec->state_dir = ac_wire_get_str(r, p);
    spec->companions = ac_wire_get_str(r, p);
    spec->set = ac_settings_get(r, p);
    spec->log_index = ac_wire_get_u32(r);
    spec->log_level = ac_wire_get_u32(r);
    spec->plain_level = ac_wire_get_u32(r);
    get_digest(r, spec);
    if (!is_described(spec)) {
        r->status = APR_EINVAL;
    }
    return spec;
}

ac_spec_table_t *ac_spec_table_get(ac_wire_reader_t *r, apr_pool_t *p)
{
    ac_spec_table_t *table = apr_pcalloc(p, sizeof(*table));
    uint32_t n, i;

    if (r->len > AC_SPEC_TABLE_MAX) {
        r->status = APR_EINVAL;
    }
    get_globals(r, &table->globals, p);
    n = ac_wire_get_count(r, AC_SPEC_APPS_MAX);
    table->specs = apr_array_make(p, (int)n, sizeof(ac_spec_t *));
    for (i = 0; i < n && r->status == APR_SUCCESS; ++i) {
        APR_ARRAY_PUSH(table->specs, ac_spec_t *) = get_spec(r, p);
    }
    return r->status == APR_SUCCESS ? table : NULL;
}
