/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "shared/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "shared/mapping.h"

/* Each entry is a sequence number and the bytes of a plain struct as relaxed
 * atomic words:
 *
 *   writer   seq odd, release fence, words, seq even (release)
 *   reader   seq (acquire), words, acquire fence, seq again: equal and even,
 *            or once more
 *
 * A manager that dies in the middle of a write leaves an odd number behind.
 * Readers then see no entry until its successor writes it again, and the
 * successor's first step (| 1) keeps the number odd. */

#define BOARD_MAGIC 0x61637264u
#define READ_TRIES 1000
#define LINE 64

#define WORDS(type) ((sizeof(type) + 7) / 8)

typedef struct app_entry_t {
    _Alignas(LINE) _Atomic uint32_t seq;
    _Atomic uint64_t words[WORDS(ac_board_app_t)];
} app_entry_t;

typedef struct proc_entry_t {
    _Alignas(LINE) _Atomic uint32_t seq;
    uint32_t taken;             /* the manager's own mark, no reader looks */
    _Atomic uint64_t current;   /* generation and CURRENT while it takes requests */
    _Atomic uint64_t words[WORDS(ac_board_proc_t)];
} proc_entry_t;

#define CURRENT ((uint64_t)1 << 32)

typedef struct memo_entry_t {
    _Alignas(LINE) _Atomic uint32_t seq;
    uint32_t size;
    _Atomic uint64_t words[AC_BOARD_MEMO_MAX / 8];
} memo_entry_t;

typedef struct header_t {
    _Alignas(LINE) _Atomic uint32_t magic;
    uint32_t version;
    uint32_t next_proc;         /* the manager's: where it looks for a free entry */
    _Alignas(LINE) _Atomic int64_t alive;
    _Atomic uint32_t manager;
    _Atomic uint32_t abandoned; /* number of the manager that is missing */
} header_t;

struct ac_board_t {
    header_t header;
    app_entry_t apps[AC_BOARD_APPS];
    proc_entry_t procs[AC_BOARD_PROCS];
    memo_entry_t memos[AC_BOARD_APPS];
};

_Static_assert((AC_BOARD_APPS & (AC_BOARD_APPS - 1)) == 0, "probing wraps by a mask");
_Static_assert(AC_BOARD_PROCS <= AC_BOARD_NO_PROC, "slots hold 16-bit indices");
_Static_assert(offsetof(ac_board_app_t, id) == 0, "word 0 is the id");
_Static_assert(offsetof(ac_board_proc_t, app_id) == 0, "word 0 is the id");

const char *ac_app_state_name(ac_app_state_e state)
{
    static const char *const names[] = {
        [AC_APP_FREE] = "free",
        [AC_APP_IDLE] = "idle",
        [AC_APP_STARTING] = "starting",
        [AC_APP_RUNNING] = "running",
        [AC_APP_BACKOFF] = "waiting to restart",
        [AC_APP_BROKEN] = "broken",
        [AC_APP_REFUSED] = "refused",
        [AC_APP_STOPPING] = "stopping",
        [AC_APP_REMOVED] = "removed",
        [AC_APP_OFFLINE] = "offline",
    };

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

apr_status_t ac_board_create(int *pfd)
{
    apr_pool_t *ptemp = NULL;
    ac_board_t *board;
    void *base;
    apr_status_t rv;
    int fd = -1;

    rv = ac_mapping_create(&fd, "appcore-board", sizeof(ac_board_t));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_pool_create(&ptemp, NULL);
    if (rv == APR_SUCCESS) {
        rv = ac_mapping_open(&base, fd, sizeof(ac_board_t), 1, ptemp);
    }
    if (rv == APR_SUCCESS) {
        board = base;
        board->header.version = AC_BOARD_VERSION;
        atomic_store_explicit(&board->header.magic, BOARD_MAGIC, memory_order_release);
        *pfd = fd;
        fd = -1;
    }
    if (ptemp) {
        apr_pool_destroy(ptemp);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rv;
}

apr_status_t ac_board_readonly_fd(int fd, int *pfd)
{
    char path[32];
    int ro;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ro = open(path, O_RDONLY | O_CLOEXEC);
    if (ro < 0) {
        return errno;
    }
    *pfd = ro;
    return APR_SUCCESS;
}

apr_status_t ac_board_map(int fd, int writable, ac_board_t **pboard, apr_pool_t *p)
{
    void *base;
    ac_board_t *board;
    apr_status_t rv = ac_mapping_open(&base, fd, sizeof(ac_board_t), writable, p);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    board = base;
    if (atomic_load_explicit(&board->header.magic, memory_order_acquire) != BOARD_MAGIC
        || board->header.version != AC_BOARD_VERSION) {
        return APR_EMISMATCH;
    }
    *pboard = board;
    return APR_SUCCESS;
}

static void entry_write(_Atomic uint32_t *seq, _Atomic uint64_t *words,
                        const void *data, apr_size_t size)
{
    uint32_t odd = atomic_load_explicit(seq, memory_order_relaxed) | 1;
    apr_size_t at;

    atomic_store_explicit(seq, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        apr_size_t n = size - at < sizeof(word) ? size - at : sizeof(word);

        memcpy(&word, (const char *)data + at, n);
        atomic_store_explicit(&words[at / sizeof(word)], word, memory_order_relaxed);
    }
    atomic_store_explicit(seq, odd + 1, memory_order_release);
}

static int entry_read(const _Atomic uint32_t *seq, const _Atomic uint64_t *words,
                      void *data, apr_size_t size)
{
    int tries;

    for (tries = 0; tries < READ_TRIES; ++tries) {
        uint32_t before = atomic_load_explicit(seq, memory_order_acquire);
        apr_size_t at;

        if (before & 1) {
            continue;
        }
        for (at = 0; at < size; at += sizeof(uint64_t)) {
            uint64_t word = atomic_load_explicit(&words[at / sizeof(word)],
                                                 memory_order_relaxed);

            memcpy((char *)data + at, &word,
                   size - at < sizeof(word) ? size - at : sizeof(word));
        }
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(seq, memory_order_relaxed) == before) {
            return 1;
        }
    }
    return 0;
}

static uint64_t app_id_at(const ac_board_t *board, unsigned index)
{
    return atomic_load_explicit(&board->apps[index].words[0], memory_order_acquire);
}

static unsigned home_of(uint64_t id)
{
    return (unsigned)(id ^ (id >> 32)) & (AC_BOARD_APPS - 1);
}

int ac_board_find(const ac_board_t *board, uint64_t id)
{
    unsigned n;
    unsigned index = home_of(id);

    for (n = 0; n < AC_BOARD_APPS; ++n) {
        uint64_t found = app_id_at(board, index);

        if (found == id) {
            return id ? (int)index : -1;
        }
        if (!found) {
            return -1;
        }
        index = (index + 1) & (AC_BOARD_APPS - 1);
    }
    return -1;
}

int ac_board_app(const ac_board_t *board, int index, uint64_t id, ac_board_app_t *papp)
{
    const app_entry_t *entry;

    if (index < 0 || index >= AC_BOARD_APPS) {
        return 0;
    }
    entry = &board->apps[index];
    return entry_read(&entry->seq, entry->words, papp, sizeof(*papp)) && papp->id == id;
}

int ac_board_proc(const ac_board_t *board, unsigned index, uint64_t id,
                  ac_board_proc_t *pproc)
{
    const proc_entry_t *entry;

    if (index >= AC_BOARD_PROCS) {
        return 0;
    }
    entry = &board->procs[index];
    return entry_read(&entry->seq, entry->words, pproc, sizeof(*pproc))
           && pproc->app_id == id;
}

int ac_board_proc_current(const ac_board_t *board, unsigned index, uint32_t generation)
{
    return index < AC_BOARD_PROCS
           && atomic_load(&board->procs[index].current) == (CURRENT | generation);
}

apr_time_t ac_board_alive(const ac_board_t *board)
{
    return atomic_load_explicit(&board->header.alive, memory_order_relaxed);
}

static int is_removed(ac_board_t *board, unsigned index)
{
    ac_board_app_t app;
    app_entry_t *entry = &board->apps[index];

    return entry_read(&entry->seq, entry->words, &app, sizeof(app))
           && app.state == AC_APP_REMOVED;
}

/* A removed entry keeps its id until it is reused: the chain through it must
 * not break for the ids behind it. */
int ac_board_take_app(ac_board_t *board, uint64_t id)
{
    ac_board_app_t fresh = { .id = id, .state = AC_APP_IDLE };
    int index = ac_board_find(board, id);
    unsigned at = home_of(id);
    unsigned n;

    if (index >= 0 || !id) {
        return index;
    }
    for (n = 0; n < AC_BOARD_APPS; ++n) {
        if (!app_id_at(board, at) || is_removed(board, at)) {
            memset(fresh.slots, 0xff, sizeof(fresh.slots));
            ac_board_put_app(board, (int)at, &fresh);
            return (int)at;
        }
        at = (at + 1) & (AC_BOARD_APPS - 1);
    }
    return -1;
}

void ac_board_put_app(ac_board_t *board, int index, const ac_board_app_t *app)
{
    app_entry_t *entry = &board->apps[index];

    entry_write(&entry->seq, entry->words, app, sizeof(*app));
}

/* Goes round, so that an index rests as long as possible before it means
 * another process. */
int ac_board_take_proc(ac_board_t *board)
{
    unsigned n;

    for (n = 0; n < AC_BOARD_PROCS; ++n) {
        unsigned index = board->header.next_proc++ % AC_BOARD_PROCS;
        proc_entry_t *entry = &board->procs[index];

        if (!entry->taken) {
            entry->taken = 1;
            return (int)index;
        }
    }
    return -1;
}

unsigned ac_board_procs_used(const ac_board_t *board)
{
    unsigned next = board->header.next_proc;

    return next < AC_BOARD_PROCS ? next : AC_BOARD_PROCS;
}

void ac_board_put_proc(ac_board_t *board, unsigned index, const ac_board_proc_t *proc)
{
    proc_entry_t *entry = &board->procs[index];
    uint64_t current = proc->app_id && !proc->draining ? CURRENT | proc->generation : 0;

    entry->taken = 1;
    /* Whoever learns of the entry through its words finds it current; and whoever
     * finds it current was counted before the manager looks who is. */
    atomic_store(&entry->current, current);
    entry_write(&entry->seq, entry->words, proc, sizeof(*proc));
}

void ac_board_clear_proc(ac_board_t *board, unsigned index)
{
    static const ac_board_proc_t none;

    ac_board_put_proc(board, index, &none);
    board->procs[index].taken = 0;
}

void ac_board_touch(ac_board_t *board)
{
    atomic_store_explicit(&board->header.alive, ac_clock_now(), memory_order_relaxed);
}

uint32_t ac_board_manager(const ac_board_t *board)
{
    return atomic_load_explicit(&board->header.manager, memory_order_relaxed);
}

void ac_board_begin(ac_board_t *board)
{
    atomic_fetch_add(&board->header.manager, 1);
}

void ac_board_put_memo(ac_board_t *board, int index, const void *memo, apr_size_t size)
{
    memo_entry_t *entry = &board->memos[index];

    entry->size = (uint32_t)size;
    entry_write(&entry->seq, entry->words, memo, size);
}

int ac_board_memo(const ac_board_t *board, int index, void *memo, apr_size_t size)
{
    const memo_entry_t *entry = &board->memos[index];

    return entry->size == size && size <= AC_BOARD_MEMO_MAX
           && entry_read(&entry->seq, entry->words, memo, size);
}

/* A manager that begins at the same moment makes the number meaningless. */
apr_status_t ac_board_abandon(int fd, apr_pool_t *ptemp)
{
    ac_board_t *board;
    apr_status_t rv = ac_board_map(fd, 1, &board, ptemp);

    if (rv == APR_SUCCESS) {
        atomic_store(&board->header.abandoned, ac_board_manager(board) + 1);
    }
    return rv;
}

int ac_board_abandoned(const ac_board_t *board)
{
    return atomic_load_explicit(&board->header.abandoned, memory_order_relaxed)
           == ac_board_manager(board) + 1;
}

void ac_board_socket_path(char *buf, apr_size_t size, const char *runtime_dir,
                          uint64_t app_id, uint32_t slot, uint32_t generation)
{
    apr_snprintf(buf, size, "%s/s/%016" APR_UINT64_T_HEX_FMT ".%u.%u", runtime_dir,
                 app_id, slot, generation);
}
