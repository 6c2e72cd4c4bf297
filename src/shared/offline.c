/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/offline.h"

#include <apr_strings.h>

static const char *page_path(const char *runtime_dir, uint64_t app_id,
                             const char *suffix, apr_pool_t *p)
{
    return apr_psprintf(p, "%s/r/%016" APR_UINT64_T_HEX_FMT ".offline%s", runtime_dir,
                        (apr_uint64_t)app_id, suffix);
}

apr_status_t ac_offline_write(const char *runtime_dir, uint64_t app_id,
                              const char *page, apr_size_t len, apr_pool_t *ptemp)
{
    const char *path = page_path(runtime_dir, app_id, "", ptemp);
    const char *temp = page_path(runtime_dir, app_id, ".new", ptemp);
    apr_file_t *file;
    apr_status_t rv;

    apr_file_remove(temp, ptemp);
    rv = apr_file_open(&file, temp, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL
                       | APR_FOPEN_BINARY, APR_FPROT_UREAD | APR_FPROT_UWRITE, ptemp);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = len ? apr_file_write_full(file, page, len, NULL) : APR_SUCCESS;
    if (apr_file_close(file) != APR_SUCCESS && rv == APR_SUCCESS) {
        rv = APR_EGENERAL;
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_rename(temp, path, ptemp);
    }
    if (rv != APR_SUCCESS) {
        apr_file_remove(temp, ptemp);
    }
    return rv;
}

apr_status_t ac_offline_open(const char *runtime_dir, uint64_t app_id,
                             apr_file_t **pfile, apr_off_t *psize, apr_pool_t *p)
{
    const char *path = page_path(runtime_dir, app_id, "", p);
    apr_finfo_t info;
    apr_status_t rv = apr_file_open(pfile, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, p);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_SIZE, *pfile);
        *psize = rv == APR_SUCCESS ? info.size : 0;
    }
    return rv;
}

void ac_offline_remove(const char *runtime_dir, uint64_t app_id, apr_pool_t *ptemp)
{
    apr_file_remove(page_path(runtime_dir, app_id, "", ptemp), ptemp);
}
