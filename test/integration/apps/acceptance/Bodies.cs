// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// Reading what clients send, and sending it back in every rhythm.
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace AcceptanceSite;

internal static class Bodies
{
    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["ReadAndWriteEcho"] = Echo;
        endpoints["ReadAndFlushEcho"] = EchoFlushed;
        endpoints["ReadAndWriteCopyToAsync"] = c => c.Request.Body.CopyToAsync(
            c.Response.Body);
        endpoints["ReadAndWriteEchoTwice"] = EchoTwice;
        endpoints["ReadAndWriteEchoLines"] = c => EchoLines(c, false);
        endpoints["ReadAndWriteEchoLinesNoBuffering"] = c => EchoLines(c, true);
        endpoints["ReadAndWriteSlowConnection"] = SlowConnection;
        endpoints["ReadAndWriteSynchronously"] = Synchronously;
        endpoints["ReadFullBody"] = ReadFull;
        endpoints["ReadPartialBody"] = ReadPartial;
        endpoints["ReadAndCountRequestBody"] = Count;
        endpoints["ReadRequestBody"] = Whole;
        endpoints["SetHeaderFromBody"] = HeaderFromBody;
        endpoints["TooLarge"] = TooLarge;
        endpoints["ReadFails"] = ReadFails;
        endpoints["LimitPerRequest"] = LimitPerRequest;
        endpoints["RequestTrailers"] = Trailers;
    }

    private static async Task Echo(HttpContext c)
    {
        var buffer = new byte[4096];
        int n;
        while ((n = await c.Request.Body.ReadAsync(buffer)) > 0)
        {
            await c.Response.Body.WriteAsync(buffer.AsMemory(0, n));
        }
    }

    private static async Task EchoFlushed(HttpContext c)
    {
        var buffer = new byte[4096];
        int n;
        while ((n = await c.Request.Body.ReadAsync(buffer)) > 0)
        {
            await c.Response.Body.WriteAsync(buffer.AsMemory(0, n));
            await c.Response.Body.FlushAsync();
        }
    }

    private static async Task EchoTwice(HttpContext c)
    {
        var buffer = new byte[4096];
        int n;
        while ((n = await c.Request.Body.ReadAsync(buffer)) > 0)
        {
            await c.Response.Body.WriteAsync(buffer.AsMemory(0, n));
            await c.Response.Body.WriteAsync(buffer.AsMemory(0, n));
        }
    }

    // Each line goes back before the next is read; nobody between may hold it.
    private static async Task EchoLines(HttpContext c, bool unbuffered)
    {
        if (unbuffered)
        {
            c.Features.Get<IHttpResponseBodyFeature>()!.DisableBuffering();
        }
        var type = c.Request.Headers["Response-Content-Type"].ToString();
        if (type != "")
        {
            c.Response.ContentType = type;
        }
        await c.Response.Body.FlushAsync();
        using var reader = new StreamReader(c.Request.Body);
        while (await reader.ReadLineAsync() is string line && line != "")
        {
            await c.Response.WriteAsync(line + "\n");
            await c.Response.Body.FlushAsync();
        }
    }

    // Reads a character at a time while it writes.
    private static async Task SlowConnection(HttpContext c)
    {
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await c.Response.WriteAsync("hello world");
                await c.Response.Body.FlushAsync();
            }
        });
        var got = new MemoryStream();
        await c.Request.Body.CopyToAsync(got);
        await writing;
        await c.Response.WriteAsync("|" + Encoding.ASCII.GetString(got.ToArray()));
    }

    private static Task Synchronously(HttpContext c)
    {
        var buffer = new byte[1];
        while (c.Request.Body.Read(buffer, 0, 1) == 1)
        {
            for (var i = 0; i < 11; i++)
            {
                c.Response.Body.Write(buffer, 0, 1);
            }
        }
        return Task.CompletedTask;
    }

    private static async Task ReadFull(HttpContext c)
    {
        await c.Request.Body.CopyToAsync(Stream.Null);
        c.Response.ContentLength = 9;
        await c.Response.WriteAsync("Completed");
    }

    // Answers although most of the announced body never came.
    private static async Task ReadPartial(HttpContext c)
    {
        var buffer = new byte[5];
        await c.Request.Body.ReadExactlyAsync(buffer);
        await c.Response.Body.WriteAsync(buffer);
    }

    private static async Task Count(HttpContext c)
    {
        var sum = new MemoryCounter();
        await c.Request.Body.CopyToAsync(sum);
        await c.Response.WriteAsync(sum.Bytes.ToString());
    }

    private static async Task Whole(HttpContext c)
    {
        using var reader = new StreamReader(c.Request.Body);
        await c.Response.WriteAsync(await reader.ReadToEndAsync());
    }

    private static async Task HeaderFromBody(HttpContext c)
    {
        using var reader = new StreamReader(c.Request.Body);
        var text = await reader.ReadToEndAsync();
        c.Response.Headers["BodyAsString"] = text;
        await c.Response.WriteAsync(text);
    }

    private static async Task TooLarge(HttpContext c)
    {
        try
        {
            await c.Request.Body.CopyToAsync(Stream.Null);
            await c.Response.WriteAsync("no limit");
        }
        catch (BadHttpRequestException e)
        {
            c.Response.StatusCode = e.StatusCode;
        }
    }

    // How reading ends where the client did something wrong.
    internal static string LastReadFault = "";

    private static async Task ReadFails(HttpContext c)
    {
        try
        {
            await c.Request.Body.CopyToAsync(Stream.Null);
            LastReadFault = "none";
        }
        catch (Exception e)
        {
            LastReadFault = e.GetType().Name;
            throw;
        }
    }

    private static async Task LimitPerRequest(HttpContext c)
    {
        var feature = c.Features.Get<IHttpMaxRequestBodySizeFeature>()!;
        var limit = c.Request.Query["limit"].ToString();
        feature.MaxRequestBodySize = limit == "none" ? null : long.Parse(limit);
        await TooLarge(c);
    }

    private static async Task Trailers(HttpContext c)
    {
        await c.Request.Body.CopyToAsync(Stream.Null);
        var trailers = c.Features.Get<IHttpRequestTrailersFeature>();
        await c.Response.WriteAsync(trailers?.Available != true ? "none"
            : string.Join("\n", trailers.Trailers.Select(t => t.Key + ": " + t.Value)));
    }

    private sealed class MemoryCounter : Stream
    {
        internal long Bytes;

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => Bytes;
        public override long Position { get => Bytes; set { } }
        public override void Flush() { }
        public override int Read(byte[] b, int o, int n) => 0;
        public override long Seek(long o, SeekOrigin w) => 0;
        public override void SetLength(long n) { }
        public override void Write(byte[] b, int o, int n) => Bytes += n;
    }
}
