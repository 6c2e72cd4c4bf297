// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Linq;
using Microsoft.AspNetCore.DataProtection.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AppCore.AspNetCore;

/// <summary>
/// What the keys of an app's cookies depend on: its content root, but as it was
/// configured. Where that is a symbolic link, a switch to another version logs nobody
/// out; where it is none, this is what the app would have taken without us.
/// </summary>
internal sealed class Discriminator(IHostEnvironment environment)
    : IApplicationDiscriminator
{
    string? IApplicationDiscriminator.Discriminator
    {
        get
        {
            var root = environment.ContentRootPath;
            var rest = root.StartsWith(Contract.RealFolder, StringComparison.Ordinal)
                ? root[Contract.RealFolder.Length..] : "?";

            return rest is "" or ['/', ..] ? Contract.Folder + rest : root;
        }
    }

    internal static void Register(IServiceCollection services)
    {
        var others = services.Where(
            d => d.ServiceType == typeof(IApplicationDiscriminator) && !d.IsKeyedService);
        var isOwn = others.Any(d => d.ImplementationType?.Assembly.GetName().Name?
            .StartsWith("Microsoft.AspNetCore.", StringComparison.Ordinal) != true);

        if (!isOwn && Contract.Folder != Contract.RealFolder)
        {
            services.AddSingleton<IApplicationDiscriminator, Discriminator>();
        }
    }
}
