/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/leftover.h"
#include "keeper/stat.h"

#define MAGIC 0x6b65706cu
#define LAYOUT 1                /* of `data`: counts its changes */
#define ENTRY_SIZE 1024
#define DATA_SIZE (ENTRY_SIZE - sizeof(ac_leftover_t) - sizeof(uint32_t))

/* In front of the entries, and as large as one. */
typedef struct head_t {
    uint32_t magic;
    uint32_t entry_size;
    uint32_t layout;
    int32_t parent;             /* httpd's parent */
    uint64_t parent_start;
    uint64_t board;             /* its inode */
} head_t;

/* This part of it never changes, nor do the first two numbers of the head. */
typedef struct entry_t {
    ac_leftover_t who;
    uint32_t len;
    unsigned char data[DATA_SIZE];
} entry_t;

_Static_assert(sizeof(entry_t) == ENTRY_SIZE, "entries lie one behind the other");
_Static_assert(sizeof(head_t) <= ENTRY_SIZE, "the head takes one entry's place");

static off_t place_of(int n)
{
    return (off_t)(n + 1) * ENTRY_SIZE;
}

static int write_entry(ac_keeper_t *k, int n, const void *entry, apr_size_t len)
{
    return pwrite(k->ledger_fd, entry, len, place_of(n)) == (ssize_t)len;
}

static int free_entry(const ac_keeper_t *k)
{
    int n;

    for (n = 0; n < AC_BOARD_PROCS && k->ledger_used[n]; ++n) {
    }
    return n < AC_BOARD_PROCS ? n : -1;
}

static void describe(entry_t *entry, const ac_kproc_t *proc, apr_pool_t *ptemp)
{
    ac_wire_writer_t w;

    memset(entry, 0, offsetof(entry_t, data));
    entry->who.pid = (int32_t)proc->is.pid;
    entry->who.uid = proc->is.uid;
    entry->who.start = proc->start;
    entry->who.mark = proc->is.tag;
    ac_wire_writer_init(&w, DATA_SIZE, ptemp);
    ac_wire_put_u32(&w, (uint32_t)apr_time_sec(proc->shutdown_limit));
    ac_process_put(&w, &proc->is);
    if (w.status == APR_SUCCESS) {
        entry->len = (uint32_t)w.len;
        memcpy(entry->data, w.data, w.len);
    }
}

/* A disk that is full is no reason to stop serving; but somebody has to know, once. */
static void complain(ac_keeper_t *k, int error)
{
    if (!k->ledger_failed) {
        ac_keeper_log(k, AC_LEVEL_ERR, NULL, "keeper.pids in AppCoreRuntimeDir cannot be "
                      "written (%s): if the keeper is killed now, apps that it starts or "
                      "started stay behind", strerror(error ? error : ENOSPC));
    }
    k->ledger_failed = 1;
}

void ac_ledger_put(ac_keeper_t *k, ac_kproc_t *proc)
{
    int n = proc->ledger >= 0 ? proc->ledger : free_entry(k);
    entry_t entry;

    if (k->ledger_fd < 0 || n < 0 || !proc->start || k->stop) {
        return;
    }
    describe(&entry, proc, k->ptemp);
    errno = 0;
    if (!write_entry(k, n, &entry, offsetof(entry_t, data) + entry.len)) {
        complain(k, errno);
        return;
    }
    k->ledger_failed = 0;
    k->ledger_used[n] = 1;
    proc->ledger = n;
}

static void clear_entry(ac_keeper_t *k, int n)
{
    static const ac_leftover_t none;

    if (write_entry(k, n, &none, sizeof(none))) {
        k->ledger_used[n] = 0;
    }
}

void ac_ledger_remove(ac_keeper_t *k, ac_kproc_t *proc)
{
    if (proc->ledger >= 0 && !k->stop) {
        clear_entry(k, proc->ledger);
    }
    proc->ledger = -1;
}

static void fill_head(head_t *head, const ac_keeper_t *k)
{
    struct stat board;
    ac_stat_t parent;

    memset(head, 0, sizeof(*head));
    head->magic = MAGIC;
    head->entry_size = ENTRY_SIZE;
    head->layout = LAYOUT;
    head->parent = (int32_t)k->args.parent;
    head->parent_start = ac_stat_read(&parent, k->args.parent) ? parent.start : 0;
    head->board = fstat(k->args.board_fd, &board) == 0 ? board.st_ino : 0;
}

static int is_same_httpd(const head_t *old, const head_t *ours)
{
    return old->entry_size == ENTRY_SIZE && old->layout == LAYOUT
           && old->parent == ours->parent && old->parent_start == ours->parent_start;
}

static int take_over(ac_keeper_t *k, int n, const entry_t *entry, int same_board)
{
    ac_wire_reader_t r;
    ac_kproc_t *proc;

    if (!entry->len || entry->len > DATA_SIZE) {
        return 0;
    }
    ac_wire_reader_init(&r, entry->data, entry->len);
    proc = ac_leftover_adopt(k, &entry->who, &r);
    if (!proc) {
        return 0;
    }
    /* The next keeper has to know, too: its number on the board is another board's. */
    if (!same_board || proc->is.origin == AC_PROCESS_FOREIGN) {
        proc->is.origin = AC_PROCESS_FOREIGN;
    }
    else {
        proc->is.origin = AC_PROCESS_LEFT;
    }
    proc->ledger = n;
    ac_ledger_put(k, proc);
    return 1;
}

static void read_entries(ac_keeper_t *k, const head_t *old, const head_t *ours, int max)
{
    int n, ending = 0, same = is_same_httpd(old, ours), taken = 0;
    ac_leftover_t *left = calloc((size_t)max, sizeof(*left));
    int *places = calloc((size_t)max, sizeof(*places));
    entry_t entry;

    for (n = 0; left && places && n < max; ++n) {
        off_t at = (off_t)(n + 1) * old->entry_size;

        memset(&entry, 0, sizeof(entry));
        if (pread(k->ledger_fd, &entry, sizeof(entry), at) <= 0 || entry.who.pid <= 1) {
            continue;
        }
        if (same && take_over(k, n, &entry, old->board == ours->board)) {
            ++taken;
            continue;
        }
        left[ending] = entry.who;
        places[ending++] = n;
    }
    if (ending) {
        ac_leftover_end(left, ending);
    }
    /* Not before: whoever kills this keeper in between leaves it to the next one. */
    while (same && ending > 0) {
        clear_entry(k, places[--ending]);
    }
    if (taken) {
        ac_keeper_log(k, AC_LEVEL_NOTICE, NULL, "took over %d processes from a keeper "
                      "that is gone; they go on and are replaced one by one", taken);
    }
    free(places);
    free(left);
}

apr_status_t ac_ledger_open(ac_keeper_t *k)
{
    head_t old, ours;
    struct stat st;

    k->ledger_used = apr_pcalloc(k->p, AC_BOARD_PROCS);
    k->ledger_fd = openat(k->runtime_fd, "keeper.pids",
                          O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (k->ledger_fd < 0 || fstat(k->ledger_fd, &st) < 0) {
        return errno;
    }
    fill_head(&ours, k);
    memset(&old, 0, sizeof(old));
    if (pread(k->ledger_fd, &old, sizeof(old), 0) == sizeof(old) && old.magic == MAGIC
        && old.entry_size >= sizeof(ac_leftover_t)) {
        off_t n = st.st_size / old.entry_size;

        read_entries(k, &old, &ours, n < AC_BOARD_PROCS ? (int)n : AC_BOARD_PROCS);
    }
    if (!is_same_httpd(&old, &ours) && ftruncate(k->ledger_fd, 0) < 0) {
        return errno;
    }
    return pwrite(k->ledger_fd, &ours, sizeof(ours), 0) == sizeof(ours) ? APR_SUCCESS
                                                                        : errno;
}
