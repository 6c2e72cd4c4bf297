/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/find.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "native/version.h"

#if defined(__x86_64__)
#define ARCH_UPPER "X64"
#define ARCH_LOWER "x64"
#elif defined(__i386__)
#define ARCH_UPPER "X86"
#define ARCH_LOWER "x86"
#elif defined(__aarch64__)
#define ARCH_UPPER "ARM64"
#define ARCH_LOWER "arm64"
#elif defined(__arm__)
#define ARCH_UPPER "ARM"
#define ARCH_LOWER "arm"
#elif defined(__s390x__)
#define ARCH_UPPER "S390X"
#define ARCH_LOWER "s390x"
#elif defined(__powerpc64__)
#define ARCH_UPPER "PPC64LE"
#define ARCH_LOWER "ppc64le"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH_UPPER "RISCV64"
#define ARCH_LOWER "riscv64"
#elif defined(__loongarch64)
#define ARCH_UPPER "LOONGARCH64"
#define ARCH_LOWER "loongarch64"
#else
#define ARCH_UPPER "UNKNOWN"
#define ARCH_LOWER "unknown"
#endif

#define HOSTFXR "libhostfxr.so"

static int join(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 0 if it is too long. */
static int join(char *to, size_t size, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(to, size, format, args);
    va_end(args);
    return len >= 0 && (size_t)len < size;
}

static void note(ac_found_t *found, const char *what, const char *place)
{
    size_t room = sizeof(found->places) - found->n_places;
    int len = snprintf(found->places + found->n_places, room, "%s%s\n", what, place);

    found->n_places += len > 0 && (size_t)len < room ? (size_t)len : 0;
}

static int is_newer(const char *name, const char *best)
{
    return ac_dotnet_version_is(name)
           && (!*best || ac_dotnet_version_compare(name, best) > 0);
}

/* The newest in host/fxr of the root; 0: none. A folder that lacks the library is one
 * that was not removed wholly. */
static int look_in(const char *root, ac_found_t *found)
{
    char folder[PATH_MAX], path[PATH_MAX], best[128] = "";
    const struct dirent *entry;
    DIR *dir;

    dir = join(folder, sizeof(folder), "%s/host/fxr", root) ? opendir(folder) : NULL;
    while (dir && (entry = readdir(dir))) {
        if (strlen(entry->d_name) < sizeof(best) && is_newer(entry->d_name, best)
            && join(path, sizeof(path), "%s/%s/" HOSTFXR, folder, entry->d_name)
            && access(path, F_OK) == 0) {
            snprintf(best, sizeof(best), "%s", entry->d_name);
            snprintf(found->hostfxr, sizeof(found->hostfxr), "%s", path);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return *best && join(found->root, sizeof(found->root), "%s", root);
}

static int beside_app(const ac_find_t *find, ac_found_t *found)
{
    note(found, "the app's folder, ", find->app);
    if (!join(found->hostfxr, sizeof(found->hostfxr), "%s/" HOSTFXR, find->app)
        || access(found->hostfxr, F_OK) != 0) {
        return 0;
    }
    found->self_contained = 1;
    return join(found->root, sizeof(found->root), "%s", find->app);
}

static int by_environment(const ac_find_t *find, ac_found_t *found)
{
    static const char *const names[] = { "DOTNET_ROOT_" ARCH_UPPER, "DOTNET_ROOT" };
    char label[64];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        const char *root = find->env(names[i]);

        if (root && *root == '/') {
            snprintf(label, sizeof(label), "%s, ", names[i]);
            note(found, label, root);
            if (look_in(root, found)) {
                return 1;
            }
        }
    }
    return 0;
}

/* The first line of a file that an installation leaves; 0: there is none. */
static int registered(const char *file, char *root, size_t size)
{
    FILE *f = fopen(file, "re");
    int read = f && fgets(root, (int)size, f);

    if (f) {
        fclose(f);
    }
    if (read) {
        root[strcspn(root, "\r\n")] = '\0';
    }
    return read && *root == '/';
}

static int by_registration(const ac_find_t *find, ac_found_t *found)
{
    static const char *const files[] = { "/etc/dotnet/install_location_" ARCH_LOWER,
                                         "/etc/dotnet/install_location" };
    char file[PATH_MAX], root[PATH_MAX], label[64];
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); ++i) {
        if (join(file, sizeof(file), "%s%s", find->prefix, files[i])
            && registered(file, root, sizeof(root))) {
            snprintf(label, sizeof(label), "%s, ", files[i]);
            note(found, label, root);
            if (look_in(root, found)) {
                return 1;
            }
        }
    }
    return 0;
}

static int by_custom(const ac_find_t *find, ac_found_t *found)
{
    static const char *const roots[] = { "/usr/share/dotnet", "/usr/lib/dotnet",
                                         "/usr/lib64/dotnet" };
    char root[PATH_MAX];
    size_t i;

    for (i = 0; i < sizeof(roots) / sizeof(roots[0]); ++i) {
        note(found, "", roots[i]);
        if (join(root, sizeof(root), "%s%s", find->prefix, roots[i])
            && look_in(root, found)) {
            return 1;
        }
    }
    return 0;
}

int ac_find_hostfxr(const ac_find_t *find, ac_found_t *found)
{
    found->self_contained = 0;
    found->n_places = 0;
    found->places[0] = '\0';
    if (beside_app(find, found)) {
        return 1;
    }
    if (find->chosen) {
        note(found, "AppCoreDotnetRoot, ", find->chosen);
        return look_in(find->chosen, found);
    }
    return by_environment(find, found) || by_registration(find, found)
           || by_custom(find, found);
}
