/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/detect.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include "spec/expand.h"

#define DOTNET_LOCATION_MAX 4096

static const struct {
    const char *program;
    ac_kind_e kind;
} kinds[] = {
    { "dotnet", AC_KIND_DOTNET },
    { "node", AC_KIND_NODE },
    { "nodejs", AC_KIND_NODE },
    { "npm", AC_KIND_NODE },
    { "npx", AC_KIND_NODE },
    { "yarn", AC_KIND_NODE },
    { "pnpm", AC_KIND_NODE },
    { "uvicorn", AC_KIND_ASGI },
    { "hypercorn", AC_KIND_ASGI },
    { "daphne", AC_KIND_ASGI },
    { "gunicorn", AC_KIND_WSGI },
    { "waitress-serve", AC_KIND_WSGI },
    { "puma", AC_KIND_RUBY },
    { "rackup", AC_KIND_RUBY },
    { "bundle", AC_KIND_RUBY },
};

static int runs(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode)
           && !faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

const char *ac_look_path_search(const ac_look_t *look, const char *name)
{
    const char *path = ac_env_get(look->env, "PATH");
    const char *end;

    for (; path && *path; path = *end ? end + 1 : end) {
        const char *candidate;

        end = path + strcspn(path, ":");
        if (*path != '/') {
            continue;
        }
        candidate = apr_psprintf(look->p, "%.*s/%s", (int)(end - path), path, name);
        if (runs(candidate)) {
            return candidate;
        }
    }
    return NULL;
}

const char *ac_look_program(const ac_look_t *look, const char *name)
{
    if (*name == '/') {
        return runs(name) ? name : NULL;
    }
    while (!strncmp(name, "./", 2)) {
        name += 2;
    }
    if (ac_folder_has_program(look->folder, name)) {
        return apr_pstrcat(look->p, look->req->folder, "/", name, NULL);
    }
    return strchr(name, '/') ? NULL : ac_look_path_search(look, name);
}

/* The file that .NET's own installers leave for whoever looks for the runtime. */
static const char *install_location(const ac_look_t *look)
{
    char text[DOTNET_LOCATION_MAX];
    int fd = open("/etc/dotnet/install_location", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return NULL;
    }
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    return *text == '/' ? apr_pstrdup(look->p, text) : NULL;
}

const char *ac_look_dotnet(const ac_look_t *look)
{
    const char *roots[] = {
        ac_env_get(look->env, "DOTNET_ROOT"), install_location(look),
        "/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet",
    };
    const char *found = ac_look_path_search(look, "dotnet");
    apr_size_t i;

    for (i = 0; !found && i < sizeof(roots) / sizeof(roots[0]); ++i) {
        if (roots[i] && *roots[i] == '/') {
            const char *candidate = apr_pstrcat(look->p, roots[i], "/dotnet", NULL);

            found = runs(candidate) ? candidate : NULL;
        }
    }
    return found;
}

int ac_look_no_dotnet(ac_look_t *look)
{
    return ac_look_fail(look, AC_FAULT_EXEC, "the .NET host \"dotnet\" was found "
                        "neither in PATH (%.200s) nor in DOTNET_ROOT, "
                        "/usr/share/dotnet, /usr/lib/dotnet or /usr/lib64/dotnet: "
                        "install the ASP.NET Core runtime",
                        ac_env_get(look->env, "PATH"));
}

static int has_dotnet_files(const ac_look_t *look, const char *base)
{
    return ac_folder_has_file(look->folder,
                              apr_pstrcat(look->p, base, ".runtimeconfig.json", NULL))
           || ac_folder_has_file(look->folder, apr_pstrcat(look->p, base, ".dll", NULL));
}

ac_kind_e ac_look_kind_of(const ac_look_t *look, const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *base = slash ? slash + 1 : program;
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); ++i) {
        if (!strcmp(base, kinds[i].program)) {
            return kinds[i].kind;
        }
    }
    return *base && has_dotnet_files(look, base) ? AC_KIND_DOTNET : AC_KIND_PROGRAM;
}

ac_kind_e ac_look_kind_of_words(const ac_look_t *look, const apr_array_header_t *words)
{
    const char *program = APR_ARRAY_IDX(words, 0, const char *);
    const char *slash = strrchr(program, '/');

    if (!strncmp(slash ? slash + 1 : program, "python", 6) && words->nelts > 2
        && !strcmp(APR_ARRAY_IDX(words, 1, const char *), "-m")) {
        program = APR_ARRAY_IDX(words, 2, const char *);
    }
    return ac_look_kind_of(look, program);
}

/* Folders in which a package manager puts programs for this app alone. */
static void extend_path(ac_look_t *look)
{
    static const char *const own[] = { "node_modules/.bin", "venv/bin", ".venv/bin" };
    const char *path = "";
    struct stat st;
    apr_size_t i;

    for (i = 0; i < sizeof(own) / sizeof(own[0]); ++i) {
        if (!fstatat(look->folder->fd, own[i], &st, 0) && S_ISDIR(st.st_mode)) {
            path = apr_pstrcat(look->p, path, look->req->folder, "/", own[i], ":", NULL);
        }
    }
    if (*path) {
        ac_look_variable(look, "PATH", apr_pstrcat(look->p, path, "%PATH%", NULL));
    }
}

/* Whether it names the inherited descriptor as uvicorn and hypercorn want it. */
static int names_descriptor(const char *text)
{
    static const char *const spellings[] = { "--fd 3", "--fd=3", "fd://3" };
    apr_size_t i;

    for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); ++i) {
        const char *at = strstr(text, spellings[i]);

        if (at && !apr_isdigit(at[strlen(spellings[i])])) {
            return 1;
        }
    }
    return 0;
}

/* What the text itself refers to tells how the app expects to be reached. */
static unsigned reach_of_text(const char *text, unsigned dflt)
{
    const char *at;

    for (at = strchr(text, '$'); at; at = strchr(at + 1, '$')) {
        const char *name = at + 1 + (at[1] == '{');

        if (!strncmp(name, "PORT", 4) && !apr_isalnum(name[4]) && name[4] != '_') {
            return AC_REACH_PORT;
        }
        if (!strncmp(name, "APPCORE_SOCKET", 14)) {
            return AC_REACH_PATH;
        }
    }
    return names_descriptor(text) ? AC_REACH_FD : dflt;
}

static void use_shell(ac_look_t *look, const ac_command_t *cmd, const char *source)
{
    look->launch->expand = AC_EXPAND_NONE;
    ac_look_arg(look, "/bin/sh");
    ac_look_arg(look, "-c");
    ac_look_arg(look, cmd->shell);
    ac_look_notice(look, "%s: the command needs a shell (%s) and runs as /bin/sh -c",
                   source, cmd->why);
}

static int use_words(ac_look_t *look, const ac_command_t *cmd, const char *source)
{
    const char *program = ac_look_program(look, cmd->program);
    int i;

    if (!program) {
        return ac_look_fail(look, AC_FAULT_EXEC, "%s names the program \"%.100s\", "
                            "which was found neither in %s nor in PATH (%.200s)",
                            source, cmd->program, look->req->folder,
                            ac_env_get(look->env, "PATH"));
    }
    look->launch->expand = AC_EXPAND_DOLLAR;
    ac_look_arg(look, program);
    for (i = 1; i < cmd->words->nelts; ++i) {
        ac_look_arg(look, APR_ARRAY_IDX(cmd->words, i, const char *));
    }
    return 0;
}

int ac_look_command(ac_look_t *look, const char *source, const char *text)
{
    ac_command_t *cmd = ac_command_parse(text, look->p);
    ac_kind_e kind;
    unsigned reach;
    int i;

    if (!cmd) {
        return ac_look_fail(look, AC_FAULT_CONFIG, "%s: the command is empty, longer "
                            "than %d characters or has more than %d words", source,
                            AC_COMMAND_MAX, AC_LAUNCH_ARGS_MAX);
    }
    extend_path(look);
    for (i = 0; i < cmd->vars->nelts; ++i) {
        const ac_env_var_t *var = &APR_ARRAY_IDX(cmd->vars, i, ac_env_var_t);

        ac_look_variable(look, var->name, var->value);
    }
    kind = cmd->words && cmd->words->nelts > 0
           ? ac_look_kind_of_words(look, cmd->words)
           : ac_look_kind_of(look, cmd->program);
    kind = kind == AC_KIND_PROGRAM ? look->launch->kind : kind;
    look->launch->kind = kind;
    ac_look_found(look, "%s: \"%.400s\" (%s)", source, text, ac_kind_name(kind));
    if (cmd->shell) {
        use_shell(look, cmd, source);
    }
    else if (use_words(look, cmd, source)) {
        return 1;
    }
    /* LISTEN_PID is that of the shell, where one stays in between. */
    reach = cmd->shell && !cmd->execs ? AC_REACH_PORT : ac_look_reach_of(look, kind);
    return ac_look_reach(look, reach_of_text(text, reach));
}
