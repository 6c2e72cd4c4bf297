// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Console;

namespace AppCore.AspNetCore;

/// <summary>
/// What the console logger prints becomes lines of httpd's error log: one per entry,
/// with its level. An app that names a formatter of its own keeps it.
/// </summary>
internal static class Logs
{
    internal static void Shape(IServiceCollection services) =>
        services.PostConfigure<ConsoleLoggerOptions>(options =>
            options.FormatterName ??= ConsoleFormatterNames.Systemd);
}
