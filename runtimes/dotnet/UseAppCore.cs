// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using AppCore.AspNetCore;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>For apps that prefer to say it themselves.</summary>
public static class AppCoreWebHostBuilderExtensions
{
    /// <summary>
    /// Lets mod_appcore of Apache httpd be the way to this app: as the server where the
    /// app runs inside of httpd, by the socket it gives where not. Anywhere else it does
    /// nothing. mod_appcore needs none of it with an app that was published as usual.
    /// </summary>
    public static IWebHostBuilder UseAppCore(this IWebHostBuilder builder)
    {
        StartupHook.Safely(() => Contract.Take());
        return builder.ConfigureServices(services => StartupHook.Safely(
            () => AppCore.AspNetCore.Hosting.Extend(services)));
    }
}
