/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#ifndef AC_RELAY_QUEUE_H
#define AC_RELAY_QUEUE_H

/* Lines that wait for their output: bounded, oldest first.
 *
 * When AC_QUEUE_MAX bytes wait, further lines are dropped and counted until half
 * of it is free again, so that one note tells of many drops. The owner puts the
 * note in, where the lines would have been. Takes no memory while empty. A line
 * is what was pushed in one call. Pure but for the heap. */

#include <stdint.h>
#include <apr.h>

#define AC_QUEUE_MAX (256 * 1024)

typedef struct ac_queue_t {
    char *data;                 /* length-prefixed lines from pos to len */
    apr_size_t pos;
    apr_size_t len;
    apr_size_t size;
    apr_size_t begun;           /* bytes of the first line that are gone already */
    uint64_t dropped;           /* lines that no note tells of yet */
    uint64_t noted;             /* lines that notes in the queue tell of */
} ac_queue_t;

/* Takes a copy, or counts a drop. */
void ac_queue_push(ac_queue_t *queue, const char *line, apr_size_t len);
/* Lines were dropped and there is room to say so? */
int ac_queue_note_due(const ac_queue_t *queue);
/* Takes the line that tells of queue->dropped drops. */
void ac_queue_push_note(ac_queue_t *queue, const char *line, apr_size_t len);
/* Bytes that wait, bookkeeping included. */
apr_size_t ac_queue_size(const ac_queue_t *queue);
int ac_queue_empty(const ac_queue_t *queue);
/* Is the first line partly written? */
int ac_queue_mid_line(const ac_queue_t *queue);
/* Copies whole lines from the head, as many as fit into size; where the first
 * one alone does not fit, its first size bytes. Nothing is removed. */
apr_size_t ac_queue_peek(const ac_queue_t *queue, char *buf, apr_size_t size);
/* Removes the n bytes that were written. */
void ac_queue_consume(ac_queue_t *queue, apr_size_t n);
/* Empties it; everything in it counts as dropped. */
void ac_queue_discard(ac_queue_t *queue);
/* Empties it and forgets the counts. */
void ac_queue_release(ac_queue_t *queue);

#endif
