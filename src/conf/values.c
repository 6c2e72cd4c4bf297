/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "conf/values.h"

#include <string.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_time.h>
#include "spec/settings.h"

#define QUOTED_MAX 60

static const ac_value_word_t time_units[] = {
    { "ms", 1000 },
    { "s", APR_USEC_PER_SEC },
    { "m", 60 * APR_USEC_PER_SEC },
    { "min", 60 * APR_USEC_PER_SEC },
    { "h", 3600 * APR_USEC_PER_SEC },
    { NULL, 0 }
};

static const ac_value_word_t size_units[] = {
    { "B", 1 },
    { "K", 1024 },
    { "KB", 1024 },
    { "M", 1024 * 1024 },
    { "MB", 1024 * 1024 },
    { "G", 1024 * 1024 * 1024 },
    { "GB", 1024 * 1024 * 1024 },
    { NULL, 0 }
};

static const ac_value_word_t count_units[] = { { NULL, 0 } };

const char *ac_value_quote(const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text), i;
    char *copy = apr_pstrmemdup(p, text, len > QUOTED_MAX ? QUOTED_MAX : len);

    for (i = 0; copy[i]; ++i) {
        if (apr_iscntrl(copy[i])) {
            copy[i] = '?';
        }
    }
    return apr_pstrcat(p, "\"", copy, len > QUOTED_MAX ? "...\"" : "\"", NULL);
}

static const char *wrong(apr_pool_t *p, const char *allowed, const char *text)
{
    return apr_pstrcat(p, "must be ", allowed, ", not ", ac_value_quote(text, p), NULL);
}

/* Decimal digits from *ptext on; 0 if there are none or too many. */
static int take_digits(apr_int64_t *pv, const char **ptext)
{
    const char *s = *ptext;
    apr_int64_t v = 0;

    for (; apr_isdigit(*s); ++s) {
        if (v > (APR_INT64_MAX - 9) / 10) {
            return 0;
        }
        v = v * 10 + (*s - '0');
    }
    if (s == *ptext) {
        return 0;
    }
    *ptext = s;
    *pv = v;
    return 1;
}

static const ac_value_word_t *find_word(const ac_value_word_t *words, const char *text)
{
    for (; words->word; ++words) {
        if (!strcasecmp(words->word, text)) {
            return words;
        }
    }
    return NULL;
}

/* A number and one of the units; a bare number counts in units of `bare`. */
static int take_quantity(apr_int64_t *pv, const char *text,
                         const ac_value_word_t *units, apr_int64_t bare)
{
    const ac_value_word_t *unit;
    apr_int64_t v, scale = bare;

    if (!take_digits(&v, &text)) {
        return 0;
    }
    if (*text) {
        unit = find_word(units, text);
        if (!unit) {
            return 0;
        }
        scale = unit->value;
    }
    if (v > APR_INT64_MAX / scale) {
        return 0;
    }
    *pv = v * scale;
    return 1;
}

static const char *words_text(const ac_value_word_t *words, apr_pool_t *p)
{
    const char *text = words->word;

    for (++words; words->word; ++words) {
        text = apr_pstrcat(p, text, words[1].word ? ", " : " or ", words->word, NULL);
    }
    return text;
}

const char *ac_value_word(apr_int64_t *pv, const char *text,
                          const ac_value_rule_t *rule, apr_pool_t *p)
{
    const ac_value_word_t *word = find_word(rule->words, text);

    if (!word) {
        return wrong(p, words_text(rule->words, p), text);
    }
    *pv = word->value;
    return NULL;
}

static int is_off(apr_int64_t *pv, const char *text, const ac_value_rule_t *rule)
{
    if (rule->off && !strcasecmp(text, "Off")) {
        *pv = 0;
        return 1;
    }
    return 0;
}

static const char *or_off(const ac_value_rule_t *rule)
{
    return rule->off ? ", or Off" : "";
}

const char *ac_value_number(apr_int64_t *pv, const char *text,
                            const ac_value_rule_t *rule, apr_pool_t *p)
{
    apr_int64_t v;

    if (is_off(pv, text, rule)) {
        return NULL;
    }
    if (!take_quantity(&v, text, count_units, 1) || v < rule->min || v > rule->max) {
        return wrong(p, apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT " to %"
                                     APR_INT64_T_FMT "%s", rule->min, rule->max,
                                     or_off(rule)), text);
    }
    *pv = v;
    return NULL;
}

static const char *time_text(apr_int64_t t, apr_pool_t *p)
{
    static const struct { apr_int64_t scale; const char *unit; } steps[] = {
        { 3600 * APR_USEC_PER_SEC, "h" },
        { 60 * APR_USEC_PER_SEC, "m" },
        { APR_USEC_PER_SEC, "s" },
        { 1000, "ms" },
    };
    apr_size_t i = 0;

    if (t == 0) {
        return "0";
    }
    while (i < 3 && t % steps[i].scale) {
        ++i;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%s", t / steps[i].scale, steps[i].unit);
}

const char *ac_value_range(apr_int64_t *pv, const char *text,
                           const ac_value_rule_t *rule, apr_pool_t *p)
{
    const char *at = text;
    apr_int64_t least, most;
    int ok = take_digits(&least, &at);

    most = least;
    if (ok && *at == '-') {
        ++at;
        ok = take_digits(&most, &at) && least <= most;
    }
    if (!ok || *at || least < rule->min || most > rule->max) {
        return wrong(p, apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT " to %"
                                     APR_INT64_T_FMT ", or two of them as in 2-8",
                                     rule->min, rule->max), text);
    }
    *pv = least == most ? most : AC_PROCESSES_RANGE(least, most);
    return NULL;
}

const char *ac_value_time(apr_int64_t *pv, const char *text,
                          const ac_value_rule_t *rule, apr_pool_t *p)
{
    apr_int64_t v;

    if (is_off(pv, text, rule)) {
        return NULL;
    }
    if (!take_quantity(&v, text, time_units, APR_USEC_PER_SEC)
        || v < rule->min || v > rule->max) {
        return wrong(p, apr_psprintf(p, "a time from %s to %s such as 500ms, 30s or 2m%s",
                                     time_text(rule->min, p), time_text(rule->max, p),
                                     or_off(rule)), text);
    }
    *pv = v;
    return NULL;
}

static const char *size_text(apr_int64_t v, apr_pool_t *p)
{
    static const char units[] = "GMK";
    apr_int64_t scale = 1024 * 1024 * 1024;
    int i;

    for (i = 0; units[i] && v; ++i, scale /= 1024) {
        if (v % scale == 0) {
            return apr_psprintf(p, "%" APR_INT64_T_FMT "%c", v / scale, units[i]);
        }
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT, v);
}

const char *ac_value_size(apr_int64_t *pv, const char *text,
                          const ac_value_rule_t *rule, apr_pool_t *p)
{
    apr_int64_t v;

    if (is_off(pv, text, rule)) {
        return NULL;
    }
    if (!take_quantity(&v, text, size_units, 1) || v < rule->min || v > rule->max) {
        return wrong(p, apr_psprintf(p, "a size from %s to %s such as 64K or 10M%s",
                                     size_text(rule->min, p), size_text(rule->max, p),
                                     or_off(rule)), text);
    }
    *pv = v;
    return NULL;
}

const char *ac_value_share(apr_int64_t *pv, const char *text,
                           const ac_value_rule_t *rule, apr_pool_t *p)
{
    const char *end = text;
    apr_int64_t v;

    if (take_digits(&v, &end) && v >= 1) {
        if (*end == '\0' && v <= rule->max) {
            *pv = v;
            return NULL;
        }
        if (!strcmp(end, "%") && v <= 100) {
            *pv = -v;
            return NULL;
        }
    }
    return wrong(p, apr_psprintf(p, "a number from 1 to %" APR_INT64_T_FMT
                                 " or a share from 1%% to 100%%", rule->max), text);
}

const char *ac_value_umask(apr_int64_t *pv, const char *text,
                           const ac_value_rule_t *rule, apr_pool_t *p)
{
    apr_size_t len = strspn(text, "01234567"), i;
    apr_int64_t v = 0;

    (void)rule;
    if (len == 0 || len > 4 || text[len]) {
        return wrong(p, "an octal number from 0 to 0777 such as 0027", text);
    }
    for (i = 0; i < len; ++i) {
        v = v * 8 + (text[i] - '0');
    }
    if (v > 0777) {
        return wrong(p, "an octal number from 0 to 0777 such as 0027", text);
    }
    *pv = v;
    return NULL;
}

static int take_limit(apr_int64_t *pv, const char *text, ac_value_unit_e unit)
{
    if (!strcasecmp(text, "unlimited")) {
        *pv = AC_LIMIT_INFINITY;
        return 1;
    }
    return take_quantity(pv, text, unit == AC_UNIT_BYTES ? size_units : count_units, 1);
}

const char *ac_value_rlimit(apr_int64_t limits[2], const char *text,
                            ac_value_unit_e unit, apr_pool_t *p)
{
    static const char *const allowed[] = {
        "SOFT or SOFT:HARD, each a number or unlimited",
        "SOFT or SOFT:HARD, each a size such as 512M or unlimited",
        "SOFT or SOFT:HARD, each a number of seconds or unlimited",
    };
    const char *colon = strchr(text, ':');
    apr_int64_t soft, hard;

    if (!take_limit(&soft, colon ? apr_pstrmemdup(p, text, colon - text) : text, unit)) {
        return wrong(p, allowed[unit], text);
    }
    hard = soft;
    if (colon && !take_limit(&hard, colon + 1, unit)) {
        return wrong(p, allowed[unit], text);
    }
    if (hard != AC_LIMIT_INFINITY && (soft == AC_LIMIT_INFINITY || soft > hard)) {
        return wrong(p, "SOFT:HARD with SOFT not above HARD", text);
    }
    limits[0] = soft;
    limits[1] = hard;
    return NULL;
}

const char *ac_value_subnet(apr_ipsubnet_t **psubnet, const char *text, apr_pool_t *p)
{
    char *address = apr_pstrdup(p, text);
    char *bits = strchr(address, '/');

    if (bits) {
        *bits++ = '\0';
    }
    /* Without this APR would take "10.1" and "" for networks of their own. */
    if ((strchr(address, ':') || strspn(address, "0123456789.") == strlen(address))
        && *address && (!bits || *bits)
        && apr_ipsubnet_create(psubnet, address, bits, p) == APR_SUCCESS) {
        return NULL;
    }
    return wrong(p, "an IP address or network such as 10.0.0.0/8 or ::1", text);
}

/* 1 iff a segment of the path is "." or "..". */
static int has_dot_segment(const char *path)
{
    const char *s = path;
    apr_size_t len;

    while (*s) {
        len = strcspn(s, "/");
        if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.')) {
            return 1;
        }
        s += len;
        s += strspn(s, "/");
    }
    return 0;
}

static int has_control(const char *text)
{
    for (; *text; ++text) {
        if (apr_iscntrl(*text)) {
            return 1;
        }
    }
    return 0;
}

const char *ac_value_prefix(const char **pprefix, const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text);

    if (*text != '/' || has_control(text) || strpbrk(text, "?#*\\")
        || strstr(text, "//") || has_dot_segment(text)) {
        return wrong(p, "a URL path such as /shop, without \"?\", \"#\", \"*\", \"\\\", "
                     "empty or dot segments", text);
    }
    if (strchr(text, '%')) {
        return wrong(p, "a URL path as it reads after decoding, without \"%\"", text);
    }
    if (text[len - 1] == '/') {
        --len;
    }
    *pprefix = apr_pstrmemdup(p, text, len);
    return NULL;
}

/* Segments joined by single slashes, without "." ones. */
static const char *squeeze(const char *text, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(text) + 2), *at = out;
    const char *s = text;
    apr_size_t len;

    while (*(s += strspn(s, "/"))) {
        len = strcspn(s, "/");
        if (len > 1 || *s != '.') {
            *at++ = '/';
            memcpy(at, s, len);
            at += len;
        }
        s += len;
    }
    *at = '\0';
    return out;
}

static int has_dot_dot(const char *path, apr_pool_t *p)
{
    const char *squeezed = squeeze(path, p);

    return has_dot_segment(squeezed);
}

const char *ac_value_folder(const char **pfolder, const char *text, apr_pool_t *p)
{
    const char *folder = squeeze(text, p);

    if (*text != '/' || has_control(text) || has_dot_dot(text, p)) {
        return wrong(p, "an absolute path without \"..\"", text);
    }
    if (!*folder) {
        return wrong(p, "a folder of its own", text);
    }
    *pfolder = folder;
    return NULL;
}

const char *ac_value_beneath(const char **ppath, const char *text, apr_pool_t *p)
{
    const char *path = squeeze(text, p);

    if (*text == '/' || !*path || has_control(text) || has_dot_dot(text, p)) {
        return wrong(p, "a folder below the app's own, such as wwwroot", text);
    }
    *ppath = path + 1;
    return NULL;
}

const char *ac_value_path(const char *text, apr_pool_t *p)
{
    return ac_settings_path_is_valid(text)
           ? NULL : wrong(p, "a path of the app that begins with \"/\", of up to 2048 "
                          "bytes and without spaces, such as /health", text);
}

const char *ac_value_app_name(const char *text, apr_pool_t *p)
{
    const char *s;

    for (s = text; apr_isalnum(*s) || (s > text && *s && strchr("._-", *s)); ++s) {
        ;
    }
    if (s == text || *s || s - text > AC_VALUE_NAME_MAX) {
        return wrong(p, "a name of up to 64 letters, digits, \".\", \"_\" and \"-\" that "
                     "begins with a letter or digit", text);
    }
    return NULL;
}

const char *ac_value_env_name(const char *text, apr_pool_t *p)
{
    const char *s = text;

    while (apr_isgraph(*s) && *s != '=') {
        ++s;
    }
    if (s == text || *s) {
        return wrong(p, "a variable's name without \"=\" and spaces", text);
    }
    return NULL;
}
