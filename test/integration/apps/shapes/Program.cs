// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// One ASP.NET Core app in every way in which an app can be built; SHAPE says which.
// None of them was told of mod_appcore.
#nullable enable
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

#pragma warning disable ASPDEPR004, ASPDEPR008, CS0618

var own = int.Parse(Environment.GetEnvironmentVariable("OWN_PORT") ?? "0");
var shape = Environment.GetEnvironmentVariable("SHAPE") ?? "web";

switch (shape)
{
    case "web":
        Run(WebApplication.CreateBuilder(args));
        break;
    case "slim":
        Run(WebApplication.CreateSlimBuilder(args));
        break;
    case "empty":
        Run(Empty(new WebApplicationOptions { Args = args }));
        break;
    case "bare-empty":
        Run(Empty(new WebApplicationOptions()));
        break;
    case "use-urls":
        Run(WebApplication.CreateBuilder(args), b => b.WebHost.UseUrls(Own()));
        break;
    case "slim-run-url":
        Run(WebApplication.CreateSlimBuilder(args), null, Own());
        break;
    case "run-url":
        Run(WebApplication.CreateBuilder(args), null, Own());
        break;
    case "listen":
        Run(WebApplication.CreateBuilder(args), b => b.WebHost.ConfigureKestrel(
            k => k.Listen(IPAddress.Loopback, own)));
        break;
    case "several":
        Run(WebApplication.CreateSlimBuilder(args), b => b.WebHost.ConfigureKestrel(k =>
        {
            k.ListenAnyIP(own);
            k.ListenLocalhost(own + 1);
        }));
        break;
    case "generic":
        Host.CreateDefaultBuilder(args).ConfigureWebHostDefaults(b => Old(b)).Build()
            .Run();
        break;
    case "bare-generic":
        new HostBuilder().ConfigureWebHost(b => Old(b.UseKestrel())).Build().Run();
        break;
    case "webhost":
        Old(Microsoft.AspNetCore.WebHost.CreateDefaultBuilder(args)).Build().Run();
        break;
    case "bare-webhost":
        Old(new WebHostBuilder().UseKestrel()).Build().Run();
        break;
    case "broken":
        Host.CreateDefaultBuilder(args).ConfigureWebHostDefaults(
            b => b.Configure(_ =>
                throw new InvalidOperationException("on purpose"))).Build().Run();
        break;
    case "two":
        var other = WebApplication.CreateSlimBuilder(args);
        var first = Build(WebApplication.CreateBuilder(args));
        first.Start();
        var second = other.Build();
        second.MapGet("/", () => "second");
        second.Urls.Add(Own());
        second.Start();
        first.WaitForShutdown();
        break;
    case "worker":
        Console.WriteLine("worker begins");
        Host.CreateApplicationBuilder(args).Build().Run();
        break;
    case "console":
        Console.WriteLine("console program is done");
        break;
    default:
        throw new ArgumentException(shape);
}

string Own() => $"http://127.0.0.1:{own}";

static WebApplicationBuilder Empty(WebApplicationOptions options)
{
    var builder = WebApplication.CreateEmptyBuilder(options);
    builder.WebHost.UseKestrelCore();
    builder.Services.AddRoutingCore();
    return builder;
}

static WebApplication Build(WebApplicationBuilder builder)
{
    var app = builder.Build();
    app.Run(Answer);
    return app;
}

static void Run(WebApplicationBuilder builder,
                Action<WebApplicationBuilder>? change = null, string? url = null)
{
    change?.Invoke(builder);
    Build(builder).Run(url);
}

static IWebHostBuilder Old(IWebHostBuilder builder) =>
    builder.Configure(app => app.Run(Answer));

static async Task Answer(HttpContext context)
{
    var request = context.Request;

    if (request.Path == "/upload")
    {
        long n = 0;
        var buffer = new byte[65536];
        for (int got; (got = await request.Body.ReadAsync(buffer)) > 0; n += got) { }
        await context.Response.WriteAsync(n.ToString());
        return;
    }
    if (request.Path == "/child")
    {
        var start = new ProcessStartInfo("/usr/bin/env");

        start.RedirectStandardOutput = true;
        using var child = Process.Start(start)!;
        await context.Response.WriteAsync(await child.StandardOutput.ReadToEndAsync());
        return;
    }
    if (request.Path == "/log")
    {
        var log = context.RequestServices.GetRequiredService<ILoggerFactory>()
            .CreateLogger("Sample");

        log.LogDebug("too much detail");
        log.LogInformation("an entry\nof two lines");
        log.LogWarning("take \"care\"");
        log.LogError(new InvalidOperationException("on purpose"), "it failed");
        log.LogCritical("the end");
        return;
    }
    await context.Response.WriteAsJsonAsync(new
    {
        pid = Environment.ProcessId,
        framework = RuntimeInformation.FrameworkDescription,
        scheme = request.Scheme,
        pathBase = request.PathBase.Value,
        path = request.Path.Value,
        remote = context.Connection.RemoteIpAddress?.ToString(),
        local = $"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort}",
        shutdown = context.RequestServices.GetRequiredService<IOptions<HostOptions>>()
            .Value.ShutdownTimeout.TotalSeconds,
        port = Environment.GetEnvironmentVariable("PORT"),
        addresses = context.RequestServices.GetRequiredService<IServer>()
            .Features.Get<IServerAddressesFeature>()!.Addresses,
        token = request.Headers["MS-ASPNETCORE-TOKEN"].ToString(),
    });
}

// For DOTNET_STARTUP_HOOKS, as tools that watch an app have it.
internal static class StartupHook
{
    public static void Initialize() => Console.WriteLine("another hook was run, "
        + $"LISTEN_FDS is {Environment.GetEnvironmentVariable("LISTEN_FDS") ?? "gone"}");
}
