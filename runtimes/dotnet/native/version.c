/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/version.h"

#include <string.h>

#define NUMBERS 3       /* major, minor, patch */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* The length of a number without leading zeros at the start of the text; 0: none. */
static size_t number_len(const char *text)
{
    size_t len = 0;

    while (is_digit(text[len])) {
        ++len;
    }
    return len > 1 && *text == '0' ? 0 : len;
}

static size_t identifier_len(const char *text)
{
    size_t len = 0;

    while (is_digit(text[len]) || is_letter(text[len])) {
        ++len;
    }
    return len;
}

/* What follows one or more identifiers with dots between; NULL if they are none. */
static const char *skip_identifiers(const char *text)
{
    size_t len;

    for (;;) {
        len = identifier_len(text);
        if (!len) {
            return NULL;
        }
        text += len;
        if (*text != '.') {
            return text;
        }
        ++text;
    }
}

int ac_dotnet_version_is(const char *text)
{
    size_t len;
    int i;

    for (i = 0; i < NUMBERS; ++i) {
        len = number_len(text);
        if (!len || (i < NUMBERS - 1 && text[len] != '.')) {
            return 0;
        }
        text += len + (i < NUMBERS - 1);
    }
    if (*text == '-') {
        text = skip_identifiers(text + 1);
    }
    if (text && *text == '+') {
        text = skip_identifiers(text + 1);
    }
    return text && !*text;
}

/* Numbers have no leading zeros, so the longer one is the greater: they may have any
 * number of digits. */
static int compare_numbers(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len) {
        return a_len < b_len ? -1 : 1;
    }
    return memcmp(a, b, a_len);
}

static int is_numeric(const char *text, size_t len)
{
    return number_len(text) == len;
}

static int compare_identifiers(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int a_numeric = is_numeric(a, a_len), b_numeric = is_numeric(b, b_len);
    int diff;

    if (a_numeric && b_numeric) {
        return compare_numbers(a, a_len, b, b_len);
    }
    if (a_numeric != b_numeric) {
        return a_numeric ? -1 : 1;
    }
    diff = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return diff ? diff : (a_len > b_len) - (a_len < b_len);
}

/* Of the texts behind the hyphens; the one that has more of them is newer. */
static int compare_previews(const char *a, const char *b)
{
    for (;;) {
        size_t a_len = identifier_len(a), b_len = identifier_len(b);
        int diff = compare_identifiers(a, a_len, b, b_len);

        a += a_len;
        b += b_len;
        if (diff || *a != '.' || *b != '.') {
            return diff ? diff : (*a == '.') - (*b == '.');
        }
        ++a;
        ++b;
    }
}

int ac_dotnet_version_compare(const char *a, const char *b)
{
    int i;

    for (i = 0; i < NUMBERS; ++i) {
        size_t a_len = number_len(a), b_len = number_len(b);
        int diff = compare_numbers(a, a_len, b, b_len);

        if (diff) {
            return diff;
        }
        a += a_len + (i < NUMBERS - 1);
        b += b_len + (i < NUMBERS - 1);
    }
    if (*a != '-' || *b != '-') {
        return (*b == '-') - (*a == '-');
    }
    return compare_previews(a + 1, b + 1);
}
