// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

// Kestrel as the gRPC template has it: HTTP/2 alone, chosen by configuration. gRPC's
// messages are made by hand, because its packages need not be at hand.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = null);
var app = builder.Build();
string aborted = "";

static async Task<byte[]> Next(Stream body)
{
    var head = new byte[5];
    if (await body.ReadAtLeastAsync(head, 5, false) < 5)
    {
        return null;
    }
    var message = new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1))];
    await body.ReadExactlyAsync(message);
    return message;
}

static async Task Send(HttpContext c, string text)
{
    var message = new byte[5 + text.Length];
    BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), text.Length);
    Encoding.ASCII.GetBytes(text, message.AsSpan(5));
    await c.Response.Body.WriteAsync(message);
    await c.Response.Body.FlushAsync();
}

static void Status(HttpContext c, int status, string message = "")
{
    c.Response.AppendTrailer("grpc-status", status.ToString());
    c.Response.AppendTrailer("grpc-message", message);
    c.Response.AppendTrailer("x-tail", "end");
}

static string Text(byte[] message) => Encoding.ASCII.GetString(message);

app.Use((c, next) =>
{
    if (c.Request.ContentType == "application/grpc")
    {
        c.Response.ContentType = "application/grpc";
    }
    return next();
});
app.MapPost("/t.Test/Unary", async c =>
{
    await Send(c, Text(await Next(c.Request.Body)) + "!");
    Status(c, 0);
});
app.MapPost("/t.Test/ServerStream", async c =>
{
    var n = int.Parse(Text(await Next(c.Request.Body)));
    for (var i = 0; i < n; i++)
    {
        await Send(c, i.ToString());
    }
    Status(c, 0);
});
app.MapPost("/t.Test/ClientStream", async c =>
{
    var sum = 0;
    while (await Next(c.Request.Body) is { } message)
    {
        sum += int.Parse(Text(message));
    }
    await Send(c, sum.ToString());
    Status(c, 0);
});
app.MapPost("/t.Test/Duplex", async c =>
{
    while (await Next(c.Request.Body) is { } message)
    {
        await Send(c, Text(message) + "?");
    }
    Status(c, 0);
});
// Trailers only: the status is in the one and only head.
app.MapPost("/t.Test/Fail", c =>
{
    c.Response.Headers["grpc-status"] = "5";
    c.Response.Headers["grpc-message"] = "no such thing";
    return Task.CompletedTask;
});
app.MapPost("/t.Test/Wait", async c =>
{
    aborted = "waits";
    c.RequestAborted.Register(() => aborted = "aborted");
    await Task.Delay(Timeout.Infinite, c.RequestAborted);
});
app.MapGet("/aborted", () => aborted);

app.MapGet("/", c => c.Response.WriteAsJsonAsync(new
{
    protocol = c.Request.Protocol, scheme = c.Request.Scheme,
    host = c.Request.Host.Value, pathBase = c.Request.PathBase.Value,
    path = c.Request.Path.Value, query = c.Request.QueryString.Value,
    remote = c.Connection.RemoteIpAddress?.ToString(), pid = Environment.ProcessId,
    connection = c.Connection.Id, te = c.Request.Headers.TE.ToString(),
    names = c.Request.Headers.Keys,
}));
app.MapGet("/trailer", async c =>
{
    await c.Response.WriteAsync("body");
    c.Response.AppendTrailer("x-tail", "end");
});
app.MapPost("/echo", async c =>
{
    var sum = SHA256.Create();
    var buffer = new byte[65536];
    int n, size = 0;
    while ((n = await c.Request.Body.ReadAsync(buffer)) > 0)
    {
        sum.TransformBlock(buffer, 0, n, null, 0);
        size += n;
    }
    sum.TransformFinalBlock(buffer, 0, 0);
    var trailers = c.Request.SupportsTrailers() && c.Request.CheckTrailersAvailable()
        ? c.Request.GetTrailer("x-tail").ToString() : "";
    await c.Response.WriteAsync($"{size} {Convert.ToHexString(sum.Hash)} {trailers}");
});
app.MapGet("/data/{size:int}", async (HttpContext c, int size) =>
{
    var piece = Encoding.ASCII.GetBytes(new string('x', 65536));
    for (; size > 0; size -= piece.Length)
    {
        await c.Response.Body.WriteAsync(piece.AsMemory(0, Math.Min(size, 65536)));
    }
});
app.MapMethods("/status/{code:int}", ["GET", "HEAD"], (HttpContext c, int code) =>
{
    c.Response.StatusCode = code;
});
app.MapGet("/abort", c => { c.Abort(); return Task.CompletedTask; });
app.MapGet("/half", async c =>
{
    await c.Response.WriteAsync("half");
    await c.Response.Body.FlushAsync();
    c.Abort();
});
app.MapGet("/silent", c => Task.Delay(Timeout.Infinite, c.RequestAborted));
app.Run();
