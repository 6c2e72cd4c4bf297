/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

/* Replays files through a fuzz target where libFuzzer is not at hand:
 * arguments are files or folders, and the exit status says whether any could
 * not be read. A fault in the target ends the program as libFuzzer would. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned replayed;

static int replay_file(const char *path, size_t len)
{
    /* Exactly as long as the input, so that a checker sees the first byte
     * that is read beyond it. */
    uint8_t *data = malloc(len ? len : 1);
    FILE *f = fopen(path, "rb");
    int ok = 0;

    if (f && data && fread(data, 1, len, f) == len) {
        LLVMFuzzerTestOneInput(data, len);
        replayed++;
        ok = 1;
    }
    if (f) {
        fclose(f);
    }
    free(data);
    return ok;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int ok = dir != NULL;

    while (ok && (entry = readdir(dir)) != NULL) {
        char *name = NULL;

        if (entry->d_name[0] == '.') {
            continue;
        }
        ok = asprintf(&name, "%s/%s", path, entry->d_name) > 0 && replay(name);
        free(name);
    }
    if (dir) {
        closedir(dir);
    }
    return ok;
}

static int replay(const char *path)
{
    struct stat st;
    int ok;

    if (stat(path, &st) != 0) {
        ok = 0;
    }
    else if (S_ISDIR(st.st_mode)) {
        ok = replay_folder(path);
    }
    else {
        ok = replay_file(path, (size_t)st.st_size);
    }
    if (!ok) {
        fprintf(stderr, "cannot replay %s\n", path);
    }
    return ok;
}

int main(int argc, char **argv)
{
    int ok = 1;

    for (int i = 1; i < argc; i++) {
        ok &= replay(argv[i]);
    }
    printf("%u inputs\n", replayed);
    return ok && replayed ? 0 : 1;
}
