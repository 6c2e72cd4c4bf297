/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "native/fit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>

#include "native/image.h"

#define CONFIG_MAX (1 << 20)
#define ASPNETCORE "Microsoft.AspNetCore.App"

typedef struct framework_t {
    int known;                  /* the file names frameworks */
    unsigned aspnetcore;        /* major version; 0: the app does without */
} framework_t;

/* The program that an app published as a single file is; 0: there is no such file. */
static int is_single_file(const char *assembly, char *program, size_t size)
{
    struct stat st;

    snprintf(program, size, "%.*s", (int)(strlen(assembly) - 4), assembly);
    return stat(program, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

static int assembly_exists(const char *assembly, ac_trouble_t *trouble)
{
    char program[PATH_MAX];

    if (access(assembly, R_OK) == 0) {
        return 1;
    }
    if (errno != ENOENT) {
        return ac_trouble_set(trouble, AC_TROUBLE_APP, "The app's assembly %s cannot be "
                              "read: %s", assembly, strerror(errno));
    }
    if (is_single_file(assembly, program, sizeof(program))) {
        return ac_trouble_set(trouble, AC_TROUBLE_APP, "The app was published as a "
                              "single file, %s, which runs only as a process of its own "
                              "(AppCoreHostingModel OutOfProcess)", program);
    }
    return ac_trouble_set(trouble, AC_TROUBLE_APP, "The app's assembly %s is missing",
                          assembly);
}

/* What the runtime would abort on is named instead. */
static int assembly_is_whole(const char *assembly, ac_trouble_t *trouble)
{
    unsigned char head[AC_IMAGE_HEAD];
    int fd = open(assembly, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof(head));
    const char *fault = "cannot be read";
    struct stat st;

    if (len >= 0 && fstat(fd, &st) == 0) {
        fault = ac_image_fault(head, (size_t)len, (uint64_t)st.st_size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return !fault ? 1 : ac_trouble_set(trouble, AC_TROUBLE_APP, "The app's assembly %s "
                                       "%s", assembly, fault);
}

static int companion_exists(const char *companion, ac_trouble_t *trouble)
{
    if (companion && access(companion, R_OK) == 0) {
        return 1;
    }
    return ac_trouble_set(trouble, AC_TROUBLE_HANDLER, "%s, through which httpd serves "
                          "the app, %s", companion ? companion : "AppCore.AspNetCore.dll",
                          !companion || errno == ENOENT ? "is not installed"
                                                        : strerror(errno));
}

/* NULL: there is none, or it is not JSON. */
static json_t *read_config(const char *assembly)
{
    char path[PATH_MAX], *text = malloc(CONFIG_MAX);
    json_t *tree = NULL;
    size_t len = 0;
    ssize_t n = 1;
    int fd = -1;

    if (text && snprintf(path, sizeof(path), "%.*s.runtimeconfig.json",
                         (int)(strlen(assembly) - 4), assembly) < (int)sizeof(path)) {
        /* A FIFO of that name would wait for its writer. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    while (fd >= 0 && len < CONFIG_MAX && n > 0) {
        n = read(fd, text + len, CONFIG_MAX - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0 && n == 0) {
        /* The runtime takes comments and byte order marks, so it may know better. */
        tree = json_loadb(text, len, 0, NULL);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(text);
    return tree;
}

static void take_framework(const json_t *one, framework_t *fw)
{
    const char *name = json_string_value(json_object_get(one, "name"));
    const char *version = json_string_value(json_object_get(one, "version"));

    fw->known |= name != NULL;
    if (name && version && !strcmp(name, ASPNETCORE)) {
        fw->aspnetcore = (unsigned)strtoul(version, NULL, 10);
    }
}

static framework_t frameworks(const json_t *options)
{
    static const char *const lists[] = { "frameworks", "includedFrameworks" };
    framework_t fw = { 0, 0 };
    const json_t *list;
    size_t i, j;

    take_framework(json_object_get(options, "framework"), &fw);
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); ++i) {
        list = json_object_get(options, lists[i]);
        for (j = 0; j < json_array_size(list); ++j) {
            take_framework(json_array_get(list, j), &fw);
        }
    }
    return fw;
}

static int hooks_are_off(const json_t *options)
{
    const json_t *hooks = json_object_get(json_object_get(options, "configProperties"),
                                          "System.StartupHookProvider.IsSupported");
    const char *text = json_string_value(hooks);

    return json_is_false(hooks) || (text && !strcasecmp(text, "false"));
}

/* Of ".../net8.0/AppCore.AspNetCore.dll": 8; 0 if its folder says nothing. */
static unsigned version_of(const char *companion)
{
    const char *slash = strrchr(companion, '/'), *folder = slash;

    while (folder && folder > companion && folder[-1] != '/') {
        --folder;
    }
    return folder && !strncmp(folder, "net", 3) ? (unsigned)strtoul(folder + 3, NULL, 10)
                                                : 0;
}

static int config_fits(const json_t *options, const char *companion,
                       ac_trouble_t *trouble)
{
    framework_t fw = frameworks(options);

    if (fw.known && !fw.aspnetcore) {
        return ac_trouble_set(trouble, AC_TROUBLE_HANDLER, "The app does not use the "
                              "framework " ASPNETCORE ", so it serves no requests");
    }
    if (fw.known && fw.aspnetcore < version_of(companion)) {
        return ac_trouble_set(trouble, AC_TROUBLE_HANDLER, "The app is for .NET %u, but "
                              "%s was built for .NET %u", fw.aspnetcore, companion,
                              version_of(companion));
    }
    if (hooks_are_off(options)) {
        return ac_trouble_set(trouble, AC_TROUBLE_HANDLER, "The app runs no start-up "
                              "hooks (System.StartupHookProvider.IsSupported is false, "
                              "as in trimmed apps), so it runs only as a process of its "
                              "own (AppCoreHostingModel OutOfProcess)");
    }
    return 1;
}

int ac_fit_check(const char *assembly, const char *companion, ac_trouble_t *trouble)
{
    json_t *config;
    int fits;

    if (strlen(assembly) < 5) {
        return ac_trouble_set(trouble, AC_TROUBLE_APP, "%s is no assembly", assembly);
    }
    if (!assembly_exists(assembly, trouble) || !assembly_is_whole(assembly, trouble)
        || !companion_exists(companion, trouble)) {
        return 0;
    }
    config = read_config(assembly);
    fits = config_fits(json_object_get(config, "runtimeOptions"), companion, trouble);
    json_decref(config);
    return fits;
}
