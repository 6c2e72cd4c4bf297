// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An app that fails to start in the way that FAIL names; without it, one that runs.

using System.Runtime.InteropServices;

var mode = Environment.GetEnvironmentVariable("FAIL") ?? "";

switch (mode)
{
    case "throw":
        throw new InvalidOperationException("no <database> to be had");
    case "exit":
        Console.Error.WriteLine("the license has expired");
        return 12;
    case "Exit":
        Environment.Exit(15);
        return 0;
    case "thread":
        new Thread(() => Environment.Exit(0)).Start();
        Thread.Sleep(Timeout.Infinite);
        return 0;
    case "abort":
        Environment.FailFast("no way to begin");
        return 0;
    case "pool":
        ThreadPool.QueueUserWorkItem(_ => throw new InvalidOperationException("nobody"));
        Thread.Sleep(Timeout.Infinite);
        return 0;
    case "overflow":
        return Failures.Dive(1);
    case "library":
        return Failures.nothing_at_all();
    case "hang":
        Console.WriteLine("waiting for a lock");
        Thread.Sleep(Timeout.Infinite);
        return 0;
    case "slow":
        while (!File.Exists(Environment.GetEnvironmentVariable("GATE")))
            Thread.Sleep(10);
        break;
    case "configure":
        return Failures.ThrowInConfigure();
}

var builder = WebApplication.CreateBuilder(args);
if (mode == "hosted")
    builder.Services.AddHostedService<Failing>();
if (mode == "background")
    builder.Services.AddHostedService<FailingLater>();
var app = builder.Build();
app.MapGet("/", () => "runs");
app.Run();
return 0;

static class Failures
{
    [DllImport("no-such-library")]
    public static extern int nothing_at_all();

    public static int Dive(int depth) => depth == 0 ? 0 : Dive(depth + 1) + 1;

    public static int ThrowInConfigure()
    {
        Host.CreateDefaultBuilder().ConfigureWebHostDefaults(web => web.Configure(
            _ => throw new InvalidOperationException("no routes"))).Build().Run();
        return 0;
    }
}

class Failing : IHostedService
{
    public Task StartAsync(CancellationToken stop) =>
        throw new InvalidOperationException("the queue is not there");

    public Task StopAsync(CancellationToken stop) => Task.CompletedTask;
}

class FailingLater : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stop)
    {
        await Task.Yield();
        throw new InvalidOperationException("the worker gave up");
    }
}
