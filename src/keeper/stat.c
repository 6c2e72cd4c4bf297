/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "keeper/stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int ac_stat_read(ac_stat_t *st, pid_t pid)
{
    char path[32], buf[1024];
    unsigned long long start;
    const char *at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0) {
        return 0;
    }
    buf[n] = '\0';
    /* The fields behind the name, which may hold anything. */
    at = strrchr(buf, ')');
    if (!at || sscanf(at + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u"
                      " %*d %*d %*d %*d %*d %*d %llu", &st->state, &st->parent,
                      &st->session, &start) != 4) {
        return 0;
    }
    st->start = start;
    return 1;
}

int64_t ac_stat_uid(pid_t pid)
{
    char path[32], line[256];
    long uid = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && uid < 0 && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Uid: %ld", &uid) != 1) {
            uid = -1;
        }
    }
    if (f) {
        fclose(f);
    }
    return uid;
}

uint64_t ac_stat_mark(pid_t pid)
{
    unsigned long long mark = 0;
    char path[32], line[256];
    FILE *f;

    /* Not prlimit(): containers may take the privilege that it needs. */
    snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Max file locks %*s %llu", &mark) == 1) {
            break;
        }
    }
    if (f) {
        fclose(f);
    }
    return mark;
}

uint64_t ac_stat_now(void)
{
    uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec / (1000000000u / hz);
}
