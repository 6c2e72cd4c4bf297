/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_SPEC_XML_H
#define AC_SPEC_XML_H

/* An XML text as a tree of elements that know their lines.
 *
 * What APR's own parser keeps is not enough to tell an author where to look.
 * Elements, attributes and their values as UTF-8; texts between elements,
 * comments and processing instructions are dropped, namespaces are cut off.
 * UTF-8 and UTF-16 with or without a byte-order mark, ISO-8859-1, US-ASCII and
 * windows-1252 are understood. A DOCTYPE is refused, and with it every entity
 * that could grow. Depth and number of elements are limited while they are read,
 * so whoever walks the tree may recurse. Pure function; all memory is p's. */

#include <apr_pools.h>

#define AC_XML_DEPTH 32
#define AC_XML_ELEMENTS 10000

typedef struct ac_xml_attr_t {
    struct ac_xml_attr_t *next;
    const char *name;
    const char *value;
} ac_xml_attr_t;

typedef struct ac_xml_t {
    struct ac_xml_t *parent;    /* NULL for the root */
    struct ac_xml_t *next;      /* sibling */
    struct ac_xml_t *first_child;
    struct ac_xml_t *last_child;
    ac_xml_attr_t *attr;
    const char *name;
    int line;
} ac_xml_t;

/* NULL with a sentence and the line in *perr and *pline. */
ac_xml_t *ac_xml_parse(const char *data, apr_size_t len, const char **perr, int *pline,
                       apr_pool_t *p);

/* The value of an attribute, or NULL. */
const char *ac_xml_attr(const ac_xml_t *elem, const char *name);
/* Whether it has that value, whatever the case. */
int ac_xml_attr_is(const ac_xml_t *elem, const char *name, const char *value);
/* Whether an element has that name. */
int ac_xml_is(const ac_xml_t *elem, const char *name);

#endif
