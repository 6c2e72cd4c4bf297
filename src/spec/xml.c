/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/xml.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include <expat.h>

/* Cannot be in a name, and separates one from its namespace. */
#define SEPARATOR '\n'

typedef struct reader_t {
    XML_Parser parser;
    apr_pool_t *p;
    ac_xml_t *root;
    ac_xml_t *open;             /* the innermost element that has not ended */
    int depth;
    int elements;
    const char *err;            /* why the parser was stopped */
} reader_t;

/* What windows-1252 has where ISO-8859-1 has control characters. */
static const unsigned short windows_1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
    0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

static void stop(reader_t *rd, const char *err)
{
    if (!rd->err) {
        rd->err = err;
        XML_StopParser(rd->parser, XML_FALSE);
    }
}

static const char *local_name(const char *name)
{
    const char *at = strrchr(name, SEPARATOR);

    return at ? at + 1 : name;
}

static void add_attributes(reader_t *rd, ac_xml_t *elem, const char **pairs)
{
    ac_xml_attr_t **tail = &elem->attr;

    for (; *pairs; pairs += 2) {
        ac_xml_attr_t *attr = apr_pcalloc(rd->p, sizeof(*attr));

        attr->name = apr_pstrdup(rd->p, local_name(pairs[0]));
        attr->value = apr_pstrdup(rd->p, pairs[1]);
        *tail = attr;
        tail = &attr->next;
    }
}

static void append(reader_t *rd, ac_xml_t *elem)
{
    ac_xml_t *parent = rd->open;

    elem->parent = parent;
    if (!parent) {
        rd->root = elem;
    }
    else if (parent->last_child) {
        parent->last_child->next = elem;
        parent->last_child = elem;
    }
    else {
        parent->first_child = parent->last_child = elem;
    }
}

static void XMLCALL on_start(void *baton, const char *name, const char **pairs)
{
    reader_t *rd = baton;
    ac_xml_t *elem;

    if (++rd->elements > AC_XML_ELEMENTS) {
        stop(rd, apr_psprintf(rd->p, "there are more than %d elements", AC_XML_ELEMENTS));
    }
    if (++rd->depth > AC_XML_DEPTH) {
        stop(rd, apr_psprintf(rd->p, "elements are nested deeper than %d", AC_XML_DEPTH));
    }
    if (rd->err) {
        return;
    }
    elem = apr_pcalloc(rd->p, sizeof(*elem));
    elem->name = apr_pstrdup(rd->p, local_name(name));
    elem->line = (int)XML_GetCurrentLineNumber(rd->parser);
    add_attributes(rd, elem, pairs);
    append(rd, elem);
    rd->open = elem;
}

static void XMLCALL on_end(void *baton, const char *name)
{
    reader_t *rd = baton;

    (void)name;
    /* A parser that was stopped may still report the end of an empty element. */
    if (!rd->err) {
        rd->open = rd->open->parent;
        --rd->depth;
    }
}

static void XMLCALL on_doctype(void *baton, const char *name, const char *sysid,
                               const char *pubid, int has_internal_subset)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)has_internal_subset;
    stop(baton, "a DOCTYPE is not allowed");
}

static int XMLCALL on_encoding(void *baton, const char *name, XML_Encoding *info)
{
    int i;

    (void)baton;
    if (strcasecmp(name, "windows-1252")) {
        return XML_STATUS_ERROR;
    }
    for (i = 0; i < 256; ++i) {
        info->map[i] = i >= 0x80 && i < 0xa0 ? windows_1252[i - 0x80] : i;
    }
    info->data = NULL;
    info->convert = NULL;
    info->release = NULL;
    return XML_STATUS_OK;
}

static const char *parser_error(const reader_t *rd)
{
    enum XML_Error code = XML_GetErrorCode(rd->parser);

    if (rd->err) {
        return rd->err;
    }
    if (code == XML_ERROR_UNKNOWN_ENCODING) {
        return "it is not well-formed XML: its encoding is not known here; save it as "
               "UTF-8";
    }
    return apr_psprintf(rd->p, "it is not well-formed XML: %s", XML_ErrorString(code));
}

ac_xml_t *ac_xml_parse(const char *data, apr_size_t len, const char **perr, int *pline,
                       apr_pool_t *p)
{
    reader_t rd = { .p = p };

    rd.parser = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!rd.parser) {
        *perr = "there is no memory for reading it";
        *pline = 0;
        return NULL;
    }
    XML_SetUserData(rd.parser, &rd);
    XML_SetElementHandler(rd.parser, on_start, on_end);
    XML_SetStartDoctypeDeclHandler(rd.parser, on_doctype);
    XML_SetUnknownEncodingHandler(rd.parser, on_encoding, NULL);
    if (XML_Parse(rd.parser, data, (int)len, 1) != XML_STATUS_OK || rd.err) {
        *perr = parser_error(&rd);
        *pline = (int)XML_GetCurrentLineNumber(rd.parser);
        rd.root = NULL;
    }
    XML_ParserFree(rd.parser);
    return rd.root;
}

const char *ac_xml_attr(const ac_xml_t *elem, const char *name)
{
    const ac_xml_attr_t *attr;

    for (attr = elem->attr; attr; attr = attr->next) {
        if (!strcmp(attr->name, name)) {
            return attr->value;
        }
    }
    return NULL;
}

int ac_xml_attr_is(const ac_xml_t *elem, const char *name, const char *value)
{
    const char *found = ac_xml_attr(elem, name);

    return found && !strcasecmp(found, value);
}

int ac_xml_is(const ac_xml_t *elem, const char *name)
{
    return !strcmp(elem->name, name);
}
