// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// What the first argument may ask for instead of, or besides, serving.
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace AcceptanceSite;

internal static class Modes
{
    private const string Message = "TEST MESSAGE";

    // Modes that never serve.
    internal static readonly Dictionary<string, Func<string[], int>> Endings = new()
    {
        ["EarlyReturn"] = _ => 12,
        ["ConsoleWriteSingle"] = _ => Print(Console.Out, "Wow!", 0),
        ["ConsoleErrorWriteSingle"] = _ => Print(Console.Error, "Oh!", 0),
        ["ConsoleWrite40000"] = _ => Print(Console.Out, new string('a', 40000), 0),
        ["CheckLargeStdOutWrites"] = _ => Print(Console.Out, new string('a', 30000), 12),
        ["CheckLargeStdErrWrites"] = _ => Print(Console.Error, new string('a', 30000),
                                                12),
        ["CheckOversizedStdOutWrites"] = _ => Print(Console.Out, new string('a', 31000),
                                                    12),
        ["CheckOversizedStdErrWrites"] = _ => Print(Console.Error,
                                                    new string('a', 31000), 12),
        ["CheckConsoleFunctions"] = _ => Print(
            Console.Out, "Is console redirection: " + Console.IsOutputRedirected, 12),
        ["Hang"] = _ => Forever(),
    };

    private static int Print(TextWriter to, string text, int status)
    {
        to.Write(text);
        to.Flush();
        return status;
    }

    private static int Forever()
    {
        Thread.Sleep(Timeout.Infinite);
        return 0;
    }

    internal static void Before(string mode)
    {
        switch (mode)
        {
            case "ConsoleWriteStartServer":
                Console.WriteLine(Message);
                break;
            case "ConsoleErrorWriteStartServer":
                Console.Error.WriteLine(Message);
                break;
            case "ConsoleWriteForeign":
                Console.WriteLine("彡⾔");
                break;
        }
        var delay = Environment.GetEnvironmentVariable("STARTUP_DELAY_MS");
        if (delay != null)
        {
            Thread.Sleep(int.Parse(delay));
        }
    }

    internal static void Configure(WebApplicationBuilder builder, string mode)
    {
        var services = builder.Services;
        switch (mode)
        {
            case "IncreaseShutdownLimit":
                services.Configure<HostOptions>(
                    o => o.ShutdownTimeout = TimeSpan.FromSeconds(120));
                // Its tests send bodies slower than Kestrel likes.
                services.Configure<KestrelServerOptions>(
                    o => o.Limits.MinRequestBodyDataRate = null);
                break;
            case "OverriddenServer":
                services.AddSingleton<IServer, Deaf>();
                break;
            case "DecreaseRequestLimit":
                services.Configure<KestrelServerOptions>(
                    o => o.Limits.MaxRequestBodySize = 2);
                services.Configure<IISServerOptions>(o => o.MaxRequestBodySize = 2);
                break;
            case "Latin1":
                AppContext.SetSwitch(
                    "Microsoft.AspNetCore.Server.IIS.Latin1RequestHeaders", true);
                services.Configure<KestrelServerOptions>(
                    o => o.RequestHeaderEncodingSelector =
                        _ => System.Text.Encoding.Latin1);
                break;
        }
        if (Environment.GetEnvironmentVariable("ALLOW_SYNCHRONOUS_IO") != null)
        {
            services.Configure<KestrelServerOptions>(o => o.AllowSynchronousIO = true);
            services.Configure<IISServerOptions>(o => o.AllowSynchronousIO = true);
        }
    }

    internal static void Started(WebApplication app, string mode)
    {
        if (mode == "CreateFile")
        {
            File.WriteAllText(Path.Combine(app.Environment.ContentRootPath,
                                           "Started.txt"), "");
        }
        var delay = Environment.GetEnvironmentVariable("SHUTDOWN_DELAY_MS");
        if (delay != null)
        {
            app.Lifetime.ApplicationStopping.Register(
                () => Thread.Sleep(int.Parse(delay)));
        }
    }

    internal static void After(string mode)
    {
        if (mode == "HangOnStop")
        {
            Forever();
        }
    }

    // The builder of old, which ASP.NET Core itself calls deprecated.
#pragma warning disable CS0618, ASPDEPR004, ASPDEPR008
    internal static void ThrowInStartup(string[] args) =>
        Microsoft.AspNetCore.WebHost.CreateDefaultBuilder(args)
            .Configure(_ => throw new InvalidOperationException("From Configure"))
            .Build().Run();
#pragma warning restore CS0618, ASPDEPR004, ASPDEPR008

    internal static void ThrowInGenericHost(string[] args) =>
        Host.CreateDefaultBuilder(args)
            .ConfigureWebHostDefaults(web => web.Configure(
                _ => throw new InvalidOperationException("From Configure")))
            .Build().Run();

    // A server of the app's own, which listens to nothing.
    private sealed class Deaf : IServer
    {
        public IFeatureCollection Features { get; } = new FeatureCollection();

        public Task StartAsync<TContext>(IHttpApplication<TContext> application,
                                         CancellationToken cancellationToken)
            where TContext : notnull => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
