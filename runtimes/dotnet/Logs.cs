// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace AppCore.AspNetCore;

/// <summary>
/// What the console logger prints becomes lines of httpd's error log: one per entry,
/// with its level. An app that names a formatter of its own keeps it.
/// </summary>
internal static class Logs
{
    private const string Stock =
        "Microsoft.AspNetCore.Server.IISIntegration.IISMiddleware";

    // It quotes the pairing token when it refuses a request. A rule that names the
    // provider wins over one that does not.
    internal static void KeepSecret(IServiceCollection services) =>
        services.PostConfigure<LoggerFilterOptions>(options =>
        {
            var console = typeof(ConsoleLoggerProvider).FullName;

            foreach (var provider in new[] { null, console })
            {
                options.Rules.Add(new(provider, Stock, LogLevel.None, null));
            }
        });

    internal static void Shape(IServiceCollection services) =>
        services.PostConfigure<ConsoleLoggerOptions>(options =>
            options.FormatterName ??= ConsoleFormatterNames.Systemd);
}
