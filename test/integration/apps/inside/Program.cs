// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An ASP.NET Core app that knows nothing of httpd, with what is delicate about a server:
// threads, streams, lives, users.
#nullable enable
using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;

string Setting(string name) => Environment.GetEnvironmentVariable(name) ?? "";

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddSignalR();
if (long.TryParse(Setting("KESTREL_LIMIT"), out var limit))
{
    builder.WebHost.ConfigureKestrel(o => o.Limits.MaxRequestBodySize = limit);
}
if (long.TryParse(Setting("IIS_LIMIT"), out var iis))
{
    builder.Services.Configure<IISServerOptions>(o => o.MaxRequestBodySize = iis);
}
builder.WebHost.ConfigureKestrel(
    o => o.AllowSynchronousIO = Setting("SYNCHRONOUS") == "kestrel");
builder.Services.Configure<IISServerOptions>(
    o => o.AllowSynchronousIO = Setting("SYNCHRONOUS") == "iis");
if (Setting("CERTIFICATE") is { Length: > 0 } certificate)
{
    builder.WebHost.ConfigureKestrel(
        o => o.ListenLocalhost(8443, l => l.UseHttps(certificate, "secret")));
}
var app = builder.Build();
var local = new AsyncLocal<string?>();
HttpContext? leaked = null;
Stream? leakedBody = null;
IHeaderDictionary? leakedHeaders = null;
var aborted = 0;
var inside = 0;
var poured = 0L;
var completed = "";
var posted = new SemaphoreSlim(0);

if (Setting("PAGE") != "")
{
    app.UseDeveloperExceptionPage();
}
app.UseWebSockets();
app.MapHub<Echo>("/hub");
Rules.Map(app);

app.MapGet("/", () => "Hello World!");
app.MapGet("/json", (HttpContext c) => new
{
    pid = Environment.ProcessId,
    framework = RuntimeInformation.FrameworkDescription,
    scheme = c.Request.Scheme,
    host = c.Request.Host.Value,
    pathBase = c.Request.PathBase.Value,
    path = c.Request.Path.Value,
    query = c.Request.QueryString.Value,
    protocol = c.Request.Protocol,
    target = c.Features.Get<IHttpRequestFeature>()!.RawTarget,
    remote = c.Connection.RemoteIpAddress?.ToString(),
    remotePort = c.Connection.RemotePort,
    localPort = c.Connection.LocalPort,
    connection = c.Connection.Id,
    trace = c.TraceIdentifier,
    addresses = app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses,
    features = c.Features.Select(f => f.Key.Name).Order(),
    headers = c.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString()),
});
app.MapGet("/yield", async () =>
{
    await Task.Yield();
    return "yielded";
});
app.MapGet("/delay/{ms}", async (int ms) =>
{
    await Task.Delay(ms);
    return "delayed";
});
app.MapGet("/thread", async () =>
{
    var before = Here.Thread;

    await Task.Yield();
    return $"{before}, {Here.Thread}";
});
app.MapGet("/culture", () =>
{
    try
    {
        return 1.5.ToString(new CultureInfo("de-DE"));
    }
    catch (CultureNotFoundException)
    {
        return "there is none";
    }
});
app.MapGet("/local", () =>
{
    var before = local.Value;

    local.Value = "of another request";
    return before ?? "nothing";
});
app.MapGet("/local/late", async () =>
{
    var before = local.Value;

    local.Value = "of another request";
    await Task.Delay(1);
    return before ?? "nothing";
});
app.MapGet("/leak", (HttpContext c) =>
{
    leaked = c;
    leakedBody = c.Response.Body;
    leakedHeaders = c.Request.Headers;
    return "leaked";
});
app.MapGet("/leaked", async (HttpContext c) =>
{
    var seen = new List<string>();

    void Try(Action action)
    {
        try
        {
            action();
            seen.Add("nothing");
        }
        catch (Exception e)
        {
            seen.Add(e.GetType().Name);
        }
    }
    Try(() => _ = leaked!.Request.Path);
    Try(() => leaked!.Response.StatusCode = 500);
    Try(() => leakedBody!.WriteAsync("x"u8.ToArray()).GetAwaiter().GetResult());
    await c.Response.WriteAsync(string.Join(' ', seen));
});

// Sync over async: the worker blocks until another thread has done the work.
app.MapGet("/blocked/write", (HttpContext c) => Task.Run(async () =>
{
    for (var i = 0; i < 5; i++)
    {
        await Task.Delay(5);
        await c.Response.WriteAsync($"line {i}\n");
    }
}).Wait());
app.MapPost("/blocked/read", (HttpContext c) =>
    new StreamReader(c.Request.Body).ReadToEndAsync().GetAwaiter().GetResult().Length
        .ToString());
app.MapGet("/blocked/large", (HttpContext c) =>
{
    c.Response.Body.WriteAsync(new byte[3_000_000]).AsTask().Wait();
});
app.MapGet("/blocked/first", (HttpContext c) =>
{
    c.Response.WriteAsync("first\n").Wait();
    posted.Wait(TimeSpan.FromSeconds(20));
    c.Response.WriteAsync("second\n").Wait();
});
app.MapGet("/release", () => posted.Release().ToString());

app.MapGet("/stream/{n}", async (HttpContext c, int n) =>
{
    for (var i = 0; i < n; i++)
    {
        await Task.Yield();
        await c.Response.WriteAsync($"line {i}\n");
        await c.Response.Body.FlushAsync();
    }
});
app.MapGet("/large/{n}", async (HttpContext c, int n) =>
{
    var block = Enumerable.Range(0, 65536).Select(i => (byte)(i * 31)).ToArray();

    for (var left = n; left > 0; left -= block.Length)
    {
        await c.Response.Body.WriteAsync(block.AsMemory(0, Math.Min(left, block.Length)));
    }
});
app.MapGet("/pour/{how}", async (HttpContext c, string how, int n) =>
{
    var block = new byte[65536];

    for (poured = 0; poured < n; poured += block.Length)
    {
        if (how == "pipe")
        {
            await c.Response.BodyWriter.WriteAsync(block);
        }
        else
        {
            await c.Response.Body.WriteAsync(block);
        }
        if (how == "late")
        {
            await Task.Yield();
        }
    }
});
app.MapGet("/poured", () => poured);
app.MapGet("/endless", async (HttpContext c) =>
{
    Interlocked.Increment(ref inside);
    try
    {
        while (!c.RequestAborted.IsCancellationRequested)
        {
            await c.Response.Body.WriteAsync(new byte[65536], c.RequestAborted);
        }
    }
    finally
    {
        Interlocked.Decrement(ref inside);
    }
});
app.MapGet("/forever", async (HttpContext c) =>
{
    Interlocked.Increment(ref inside);
    try
    {
        await Task.Delay(-1, c.RequestAborted);
    }
    catch (OperationCanceledException)
    {
        Interlocked.Increment(ref aborted);
    }
    finally
    {
        Interlocked.Decrement(ref inside);
    }
});
app.MapGet("/busy", (HttpContext c) =>
{
    Interlocked.Increment(ref inside);
    if (c.RequestAborted.WaitHandle.WaitOne(TimeSpan.FromSeconds(20)))
    {
        Interlocked.Increment(ref aborted);
    }
    Interlocked.Decrement(ref inside);
});
app.MapGet("/counts", () => new { inside, aborted, completed });
app.MapGet("/memory", Memory.Measure);
// Garbage of all sizes, and the whole heap collected while everybody waits for it.
app.MapGet("/garbage/{n}", (int n) =>
{
    var kept = new List<byte[]>();

    for (var i = 0; i < n; i++)
    {
        for (var size = 100; size < 300_000; size *= 3)
        {
            kept.Add(new byte[size]);
        }
        GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: i % 4 == 0);
    }
    return kept.Count;
});
app.MapPost("/read/forever", async (HttpContext c) =>
{
    Interlocked.Increment(ref inside);
    try
    {
        await c.Request.Body.CopyToAsync(Stream.Null);
    }
    finally
    {
        Interlocked.Decrement(ref inside);
        Interlocked.Increment(ref aborted);
    }
});
app.MapPost("/count", async (HttpContext c) =>
{
    var buffer = new byte[10000];
    long n = 0, sum = 0;

    for (int got; (got = await c.Request.Body.ReadAsync(buffer)) > 0; n += got)
    {
        for (var i = 0; i < got; i++)
        {
            sum += buffer[i];
        }
    }
    return new { n, sum };
});
app.MapPost("/pipe", async (HttpContext c) =>
{
    await c.Request.BodyReader.CopyToAsync(c.Response.BodyWriter);
});
app.MapPost("/slowly", async (HttpContext c) =>
{
    var buffer = new byte[65536];
    long n = 0;

    await posted.WaitAsync(TimeSpan.FromSeconds(20));
    for (int got; (got = await c.Request.Body.ReadAsync(buffer)) > 0; n += got) { }
    return n;
});
app.MapPost("/limit/{n}", async (HttpContext c, long n) =>
{
    c.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = n;
    await c.Request.Body.CopyToAsync(Stream.Null);
    return "accepted";
});
app.MapPost("/item", (Item item) => item with { Number = item.Number + 1 });

app.MapGet("/throw", string () => throw new InvalidOperationException("on purpose"));
app.MapGet("/throw/late", async (HttpContext c, int? ms) =>
{
    await c.Response.WriteAsync("some of it");
    await c.Response.Body.FlushAsync();
    await Task.Delay(ms ?? 0);
    throw new InvalidOperationException("on purpose");
});
// Of what it reads nothing comes meanwhile.
app.MapPost("/throw/reading", async (HttpContext c) =>
{
    await Task.Yield();
    _ = c.Request.Body.ReadAsync(new byte[100]).AsTask();
    await Task.Delay(300);
    throw new InvalidOperationException("on purpose");
});
app.MapGet("/length/{said}/{sent}", async (HttpContext c, int said, int sent) =>
{
    c.Response.ContentLength = said;
    await c.Response.Body.WriteAsync(new byte[sent]);
    await c.Response.Body.FlushAsync();
});
app.MapGet("/abort", (HttpContext c) => c.Abort());
app.MapGet("/status/{code}", (HttpContext c, int code) =>
{
    c.Response.StatusCode = code;
    c.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = "As We Like";
    return c.Response.CompleteAsync();
});
app.MapGet("/headers", (HttpContext c) =>
{
    c.Response.OnStarting(() =>
    {
        c.Response.Headers["X-Late"] = "yes";
        return Task.CompletedTask;
    });
    c.Response.Headers["X-Empty"] = "";
    c.Response.Headers.Append("X-Two", "1");
    c.Response.Headers.Append("X-Two", "2");
    c.Response.Headers.SetCookie = new[] { "a=1", "b=2" };
    c.Response.Headers.Server = "Ours/1.0";
    try
    {
        c.Response.Headers["X-Split"] = "a\r\nb: c";
    }
    catch (InvalidOperationException)
    {
        c.Response.Headers["X-Unsplit"] = "yes";
    }
    return "x";
});
app.MapGet("/completed", (HttpContext c) =>
{
    c.Response.OnCompleted(async () =>
    {
        await Task.Delay(1);
        completed = c.Request.Path;
    });
    return "x";
});
app.MapGet("/complete", async (HttpContext c) =>
{
    await c.Response.WriteAsync("all of it");
    await c.Response.CompleteAsync();
    await posted.WaitAsync(TimeSpan.FromSeconds(20));
    completed = "went on";
});
app.MapMethods("/{kind:regex(^(file|packed)$)}", ["GET", "HEAD"],
    (HttpContext c, string path, long? offset, long? count) =>
        c.Response.SendFileAsync(path, offset ?? 0, count));
app.MapGet("/file/result", (string path) =>
    Results.File(path, "text/plain", enableRangeProcessing: true));
app.MapGet("/file/late", async (HttpContext c, string path) =>
{
    await Task.Yield();
    await c.Response.SendFileAsync(path);
});
app.MapGet("/file/deleted", async (HttpContext c, string path) =>
{
    await c.Response.SendFileAsync(path);
    File.Delete(path);
});
app.MapGet("/file/many", async (HttpContext c, string path, int n) =>
{
    for (var i = 0; i < n; i++)
    {
        await c.Response.SendFileAsync(path, 0, 1000);
    }
});
app.MapGet("/file/between", async (HttpContext c, string path) =>
{
    await c.Response.WriteAsync("[");
    await c.Response.SendFileAsync(path);
    await c.Response.WriteAsync("]");
});
app.MapGet("/chunked", async (HttpContext c, string body, int size, string? coding) =>
{
    var bytes = System.Text.Encoding.ASCII.GetBytes(body);

    c.Response.Headers.TransferEncoding = coding ?? "chunked";
    foreach (var piece in bytes.Chunk(size))
    {
        await c.Response.Body.WriteAsync(piece);
        if (size > 1)
        {
            await c.Response.Body.FlushAsync();
        }
    }
});
app.MapGet("/chunked/file", async (HttpContext c, string path, int n) =>
{
    c.Response.Headers.TransferEncoding = "chunked";
    await c.Response.WriteAsync($"{n + 2:x}\r\n[");
    await c.Response.SendFileAsync(path, 0, n);
    await c.Response.WriteAsync("]\r\n0\r\n\r\n");
});
app.MapGet("/reset/{code}", async (HttpContext c, int code, bool? late, int? ms) =>
{
    await Task.Delay(ms ?? 0);
    if (late == true)
    {
        await c.Response.WriteAsync("some of it");
        await c.Response.Body.FlushAsync();
    }
    c.Features.Get<IHttpResetFeature>()!.Reset(code);
});
app.MapGet("/trailers", async (HttpContext c) =>
{
    if (!c.Response.SupportsTrailers())
    {
        await c.Response.WriteAsync("none");
        return;
    }
    await c.Response.WriteAsync("body");
    c.Response.AppendTrailer("X-Tail", "end");
});
app.MapGet("/synchronous", (HttpContext c) =>
{
    try
    {
        c.Response.Body.Write("x"u8.ToArray());
    }
    catch (InvalidOperationException)
    {
        c.Features.Get<IHttpBodyControlFeature>()!.AllowSynchronousIO = true;
        c.Response.Body.Write("refused, then allowed"u8.ToArray());
    }
});
app.MapGet("/variable", async (HttpContext c, string name, bool? late) =>
{
    if (late == true)
    {
        await Task.Yield();
    }
    var variables = c.Features.Get<IServerVariablesFeature>()!;

    variables["SET_BY_APP"] = "yes";
    return $"{variables[name] ?? "(null)"} {variables["SET_BY_APP"]}";
});
app.MapGet("/tls", async (HttpContext c) =>
{
    var tls = c.Features.Get<ITlsHandshakeFeature>();
    var certificate = await c.Connection.GetClientCertificateAsync();

    return new
    {
        protocol = tls?.Protocol.ToString(),
        suite = tls?.NegotiatedCipherSuite.ToString(),
        host = tls?.HostName,
        subject = certificate?.Subject,
    };
});
app.MapGet("/who", async (HttpContext c) =>
{
    var asked = await c.AuthenticateAsync("Windows");

    return new
    {
        name = c.User.Identity?.Name,
        type = c.User.Identity?.AuthenticationType,
        roles = c.User.FindAll(ClaimTypes.Role).Select(r => r.Value),
        asked = asked.Principal?.Identity?.Name,
    };
});
app.MapGet("/close", (HttpContext c) =>
{
    var connection = c.Features.Get<IConnectionLifetimeNotificationFeature>()!;
    var asked = connection.ConnectionClosedRequested;
    var before = asked.IsCancellationRequested;

    connection.RequestClose();
    return $"{before} {asked.IsCancellationRequested}";
});
app.MapGet("/process", async () =>
{
    using var child = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exit 7"]))!;

    await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(10));
    return child.ExitCode;
});
app.MapGet("/stop", (IHostApplicationLifetime life) =>
{
    life.StopApplication();
    return "stopping";
});
app.Map("/socket", async (HttpContext c) =>
{
    using var socket = await c.WebSockets.AcceptWebSocketAsync();
    var buffer = new byte[200_000];

    for (;;)
    {
        var got = await socket.ReceiveAsync(buffer, default);

        if (got.CloseStatus != null)
        {
            await socket.CloseAsync(got.CloseStatus.Value, "", default);
            return;
        }
        await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType,
                               got.EndOfMessage, default);
    }
});
app.Run();

internal static class Here
{
    /// As the system calls it.
    public static string Thread =>
        File.ReadAllText($"/proc/self/task/{gettid()}/comm").Trim();

    [DllImport("libc")]
    private static extern int gettid();
}

internal sealed record Item(string Name, int Number);

internal sealed class Echo : Hub
{
    public Task<string> Say(string text) => Task.FromResult(text + "!");

    public async IAsyncEnumerable<int> Count(int n)
    {
        for (var i = 0; i < n; i++)
        {
            await Task.Yield();
            yield return i;
        }
    }
}
