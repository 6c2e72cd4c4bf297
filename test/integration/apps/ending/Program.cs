// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An app that ends, or takes its process down, in the way that is asked for.

using System.Diagnostics;
using System.Runtime.InteropServices;

var mode = Environment.GetEnvironmentVariable("MODE") ?? "";
var over = new TaskCompletionSource<int>();
int waiting = 0, lingers = 0;
var app = WebApplication.CreateBuilder(args).Build();

app.MapGet("/", () => "runs");
app.MapGet("/pid", () => Environment.ProcessId.ToString());
app.MapGet("/where", (IWebHostEnvironment where) => string.Join("\n",
    Environment.CurrentDirectory, where.ContentRootPath, AppContext.BaseDirectory,
    Environment.GetEnvironmentVariable("HOME"), string.Join(" ", args)));
app.MapGet("/exit", (int code) => Environment.Exit(code));
app.MapGet("/exit/thread", (int code) =>
{
    new Thread(() => Environment.Exit(code)).Start();
    return Task.Delay(Timeout.Infinite);
});
app.MapGet("/abort", () => Environment.FailFast("there is no way on"));
app.MapGet("/abort/native", () => Ends.abort());
app.MapGet("/fault/native", () => Ends.strlen(16));
app.MapGet("/fault/thread", () =>
{
    new Thread(() => Ends.strlen(16)).Start();
    return Task.Delay(Timeout.Infinite);
});
app.MapGet("/fault", () => Marshal.ReadByte(16));
app.MapGet("/overflow", () => Ends.Dive(1));
app.MapGet("/throw", async () =>
{
    new Thread(() => throw new InvalidOperationException("nobody catches this")).Start();
    await Task.Delay(Timeout.Infinite);
});
app.MapGet("/throw/pool", () =>
{
    ThreadPool.QueueUserWorkItem(_ =>
        throw new InvalidOperationException("the pool does not, either"));
    return Task.Delay(Timeout.Infinite);
});
app.MapGet("/stop", (IHostApplicationLifetime lifetime) => lifetime.StopApplication());
app.MapGet("/return", (int code) => over.TrySetResult(code));
app.MapGet("/close", (int ms) =>
{
    lingers = ms;
    return over.TrySetResult(0);
});
app.MapGet("/wait", async (int ms) =>
{
    Interlocked.Increment(ref waiting);
    await Task.Delay(ms);
    return "waited";
});
app.MapGet("/waiting", () => waiting);
// No call in the loop: the collector has to stop it by a signal.
app.MapGet("/spin", (int ms) =>
{
    var end = Environment.TickCount64 + ms;
    long n = 0;

    while (Environment.TickCount64 < end)
        for (var i = 0; i < 1000000; i++)
            n += i;
    return n != 0 ? "spun" : "";
});
app.MapGet("/collect", (int n) =>
{
    for (var i = 0; i < n; i++)
        GC.Collect();
    return "collected";
});
app.MapGet("/signals", () => "TERM HUP USR1 USR2 WINCH INT QUIT PIPE".Split(' ').Zip(
    new[] { 15, 1, 10, 12, 28, 2, 3, 13 }, (name, number) => (name, number))
    .ToDictionary(s => s.name, s => Ends.HandlerOf(s.number)));
app.MapGet("/run", async () =>
{
    var what = new ProcessStartInfo("/bin/sh", ["-c", "kill -0 $$; exit 7"]);
    using var quick = Process.Start(what)!;
    using var slow = Process.Start("/bin/sleep", "60")!;

    quick.WaitForExit(5000);
    slow.Exited += (_, _) => { };
    Process.Start("/bin/kill", $"{slow.Id}").WaitForExit(5000);
    await slow.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(5));
    return $"{quick.ExitCode} {slow.ExitCode}";
});

if (mode == "stuck")
    app.Lifetime.ApplicationStopping.Register(() => Thread.Sleep(Timeout.Infinite));
await app.StartAsync();
await Task.WhenAny(over.Task, app.WaitForShutdownAsync());
if (lingers > 0)
{
    await app.DisposeAsync();
    await Task.Delay(lingers);
}
return over.Task.IsCompleted ? over.Task.Result : 0;

static class Ends
{
    [DllImport("libc")]
    public static extern void abort();

    [DllImport("libc")]
    public static extern nint strlen(nint text);

    [DllImport("libc")]
    private static extern int sigaction(int signal, nint action, nint[] old);

    [DllImport("libc")]
    private static extern int dladdr(nint address, nint[] info);

    /// The file that has it; 0: it is the default, 1: it is ignored.
    public static string HandlerOf(int signal)
    {
        var action = new nint[32];
        var info = new nint[4];

        sigaction(signal, 0, action);
        return dladdr(action[0], info) == 0 ? $"{action[0]}"
            : Path.GetFileName(Marshal.PtrToStringUTF8(info[0])!);
    }

    public static int Dive(int depth) => depth == 0 ? 0 : Dive(depth + 1) + 1;
}
