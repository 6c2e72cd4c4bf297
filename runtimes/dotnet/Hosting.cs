// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Linq;
using AppCore.AspNetCore.Server;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.IISIntegration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

[assembly: HostingStartup(typeof(AppCore.AspNetCore.OldHosting))]

namespace AppCore.AspNetCore;

/// <summary>
/// Brings a host that has a web server to the inherited socket: as the address it
/// listens to, the port's; as the transport below that address, ours. In a child of httpd
/// it gets another server: see Takeover.
/// </summary>
internal static class Hosting
{
    internal static void Extend(object builder)
    {
        if (builder is IHostBuilder host)
        {
            host.ConfigureServices((_, services) =>
                StartupHook.Safely(() => Extend(services)));
        }
    }

    internal static void Extend(IServiceCollection services)
    {
        if (Bridge.IsThere)
        {
            Takeover.Extend(services);
            return;
        }
        // The first releases of .NET 8 throw when a keyed service is asked for its type.
        var plain = services.Where(d => !d.IsKeyedService);
        var isWeb = plain.Any(d => d.ServiceType == typeof(IServer));
        var isDone = plain.Any(d => d.ImplementationType == typeof(Filter));

        if (!Contract.IsTaken || !isWeb || isDone)
        {
            return;
        }
        // The outermost filter, and the transport that is asked first.
        services.Insert(0, ServiceDescriptor.Singleton<IStartupFilter, Filter>());
        services.AddSingleton<IConnectionListenerFactory, Transport>();
        if (Contract.IsLogged)
        {
            Logs.Shape(services);
        }
        Logs.KeepSecret(services);
        Discriminator.Register(services);
        LimitShutdown(services);
        if (!plain.Any(d => IsStock(d.ImplementationInstance)))
        {
            services.AddAuthenticationCore();
            Users.Announce(services);
        }
    }

    // Some builders do not read the environment. Whatever an app says comes later.
    internal static void LimitShutdown(IServiceCollection services)
    {
        if (Contract.ShutdownSeconds > 0)
        {
            var limit = new ConfigureOptions<HostOptions>(options =>
                options.ShutdownTimeout = TimeSpan.FromSeconds(Contract.ShutdownSeconds));

            services.Insert(
                0, ServiceDescriptor.Singleton<IConfigureOptions<HostOptions>>(limit));
        }
    }

    // What UseIISIntegration() registers, and only where its own contract is met.
    internal static bool IsStock(object? filter) =>
        filter?.GetType().FullName
            == "Microsoft.AspNetCore.Server.IISIntegration.IISSetupFilter";
}

/// <summary>WebHostBuilder announces nothing, but runs hosting startups.</summary>
internal sealed class OldHosting : IHostingStartup
{
    public void Configure(IWebHostBuilder builder) =>
        builder.ConfigureServices(services =>
            StartupHook.Safely(() => Hosting.Extend(services)));
}

/// <summary>
/// Runs when the app's pipeline is built: after it said where it wants to listen, and
/// before it does.
/// </summary>
internal sealed class Filter : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) =>
        app => Configure(app, next);

    private static void Configure(IApplicationBuilder app,
                                  Action<IApplicationBuilder> next)
    {
        var server = app.ApplicationServices.GetRequiredService<IServer>();
        var isOurs = server.GetType().FullName!.StartsWith(
            "Microsoft.AspNetCore.Server.Kestrel.", StringComparison.Ordinal)
            && Contract.Claim();

        if (!isOurs)
        {
            next(app);
            return;
        }
        app.Use(next => Users.Compose(app.ApplicationServices, next));
        app.ApplicationServices.GetRequiredService<IHostApplicationLifetime>()
            .ApplicationStarted.Register(() => StartupHook.Safely(Contract.Started));
        if (!app.ApplicationServices.GetServices<IStartupFilter>().Any(Hosting.IsStock))
        {
            Supply(app);
        }
        try
        {
            next(app);
        }
        finally
        {
            // Also for the page that a host serves whose start-up failed.
            Redirect(server.Features.Get<IServerAddressesFeature>());
        }
    }

    // What the stock filter does, for builders that do not know it.
    private static void Supply(IApplicationBuilder app)
    {
        if (Contract.Path != "/")
        {
            app.UsePathBase(Contract.Path);
        }
        app.UseForwardedHeaders(new ForwardedHeadersOptions
        {
            ForwardedHeaders = ForwardedHeaders.XForwardedFor
                | ForwardedHeaders.XForwardedProto,
        });
        if (Contract.Token != null)
        {
            app.UseMiddleware<IISMiddleware>(Contract.Token, Contract.WebSockets);
        }
    }

    private static void Redirect(IServerAddressesFeature? feature)
    {
        if (feature == null)
        {
            return;
        }
        List<string> others = [.. feature.Addresses.Where(a => a != Contract.Address)];

        if (others.Count > 0)
        {
            Console.Error.WriteLine("The app is reached through mod_appcore alone and"
                + $" does not listen to {string.Join(", ", others)}.");
        }
        feature.Addresses.Clear();
        feature.Addresses.Add(Contract.Address);
        feature.PreferHostingUrls = true;
    }
}
