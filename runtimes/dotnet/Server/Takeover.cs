// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// Gives a host that has a web server ours instead, and a lifetime that leaves the
/// signals of the process to httpd. A second host of the process keeps its own server.
/// </summary>
internal static class Takeover
{
    private static int s_claimed;

    internal static void Extend(IServiceCollection services)
    {
        var plain = services.Where(d => !d.IsKeyedService);
        var server = plain.LastOrDefault(d => d.ServiceType == typeof(IServer));

        if (server == null || server.ImplementationFactory?.Target is Mine)
        {
            return;
        }
        services.AddSingleton<IServer>(new Mine(server).Create);
        services.RemoveAll<IHostLifetime>();
        services.AddSingleton<IHostLifetime, Lifetime>();
        if (plain.Any(d => d.ImplementationType == typeof(Scheme)))
        {
            return;
        }
        services.Insert(0, ServiceDescriptor.Singleton<IStartupFilter, Scheme>());
        if (Users.AreTold)
        {
            services.AddAuthenticationCore();
            Users.Announce(services);
        }
        if (Contract.IsLogged)
        {
            Logs.Shape(services);
        }
        Discriminator.Register(services);
        Hosting.LimitShutdown(services);
    }

    private sealed class Mine(ServiceDescriptor instead)
    {
        internal IServer Create(IServiceProvider provider) =>
            Interlocked.Exchange(ref s_claimed, 1) == 0
                ? ActivatorUtilities.CreateInstance<AppCoreServer>(provider)
                : (IServer)(instead.ImplementationInstance
                    ?? instead.ImplementationFactory?.Invoke(provider)
                    ?? ActivatorUtilities.CreateInstance(provider,
                                                         instead.ImplementationType!));
    }

    private sealed class Lifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) =>
            Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class Scheme : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) =>
            app =>
            {
                if (app.ApplicationServices.GetService<IServer>() is AppCoreServer)
                {
                    app.Use(rest => Users.Compose(app.ApplicationServices, rest));
                }
                next(app);
            };
    }
}
