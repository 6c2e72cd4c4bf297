// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// What an app may expect of its server's streams and features: arguments are checked,
// every feature can be replaced, tokens cancel, a client that left harms no writer.
using Microsoft.AspNetCore.Http.Features;

namespace AcceptanceSite;

internal static class Rules
{
    private static string afterwards = "";

    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["ReadArguments"] = ReadArguments;
        endpoints["WriteArguments"] = WriteArguments;
        endpoints["ReplacedFeatures"] = Replaced;
        endpoints["ReplacedRequest"] = ReplacedRequest;
        endpoints["ReplacedResponse"] = ReplacedResponse;
        endpoints["CancelledTokens"] = Cancelled;
        endpoints["CancelledRead"] = CancelledRead;
        endpoints["AfterTheClientLeft"] = AfterTheClientLeft;
        endpoints["WhatCameAfterwards"] = c => c.Response.WriteAsync(afterwards);
    }

    // The name of what is thrown, or "nothing".
    private static async Task<string> Thrown(Func<Task> call)
    {
        try
        {
            await call();
            return "nothing";
        }
        catch (Exception e)
        {
            return e.GetType().Name;
        }
    }

    private static readonly (int Offset, int Count)[] Wrong =
        [(-1, 1), (11, 1), (0, -1), (0, 11), (5, 6)];

    private static async Task<string> Arguments(Func<byte[], int, int, Task> call)
    {
        var seen = new List<string> { await Thrown(() => call(null!, 0, 1)) };
        foreach (var (offset, count) in Wrong)
        {
            seen.Add(await Thrown(() => call(new byte[10], offset, count)));
        }
        seen.Add(await Thrown(() => call(new byte[10], 0, 0)));
        seen.Add(await Thrown(() => call(new byte[10], 10, 0)));
        return string.Join(" ", seen);
    }

    private static async Task ReadArguments(HttpContext c)
    {
        var body = c.Request.Body;
        await c.Response.WriteAsync(string.Join("\n",
            await Arguments((b, o, n) => body.ReadAsync(b, o, n)),
            await Arguments((b, o, n) => Task.Run(() => body.Read(b, o, n))),
            await Arguments((b, o, n) => Task.Factory.FromAsync(
                body.BeginRead(b, o, n, null, null), body.EndRead))));
    }

    private static async Task WriteArguments(HttpContext c)
    {
        var body = c.Response.Body;
        await c.Response.WriteAsync(string.Join("\n",
            await Arguments((b, o, n) => body.WriteAsync(b, o, n)),
            await Arguments((b, o, n) => Task.Run(() => body.Write(b, o, n))),
            await Arguments((b, o, n) => Task.Factory.FromAsync(
                body.BeginWrite(b, o, n, null, null), body.EndWrite))));
    }

    // Each is taken away, is gone, and can be put back; and there is room for more.
    private static async Task Replaced(HttpContext c)
    {
        var seen = new List<string>();
        foreach (var (type, feature) in c.Features.ToList())
        {
            c.Features[type] = null;
            var isGone = c.Features[type] == null;
            c.Features[type] = feature;
            if (!isGone || c.Features[type] != feature)
            {
                seen.Add(type.Name);
            }
        }
        var own = new List<string>();
        c.Features.Set(own);
        if (c.Features.Get<List<string>>() != own || !c.Features.Any(f => f.Value == own))
        {
            seen.Add("the app's own");
        }
        await c.Response.WriteAsync(string.Join(" ", seen.Prepend("Success")));
    }

    private static async Task ReplacedRequest(HttpContext c)
    {
        var request = c.Request;
        var body = new MemoryStream();
        var headers = new HeaderDictionary { ["X-Own"] = "own" };
        request.Method = "OWN";
        request.Scheme = "own";
        request.PathBase = "/own";
        request.Path = "/path";
        request.QueryString = new QueryString("?own=1");
        request.Protocol = "OWN/1";
        request.Body = body;
        c.Features.Get<IHttpRequestFeature>()!.Headers = headers;
        c.TraceIdentifier = "trace";
        c.Connection.Id = "connection";
        c.Connection.RemoteIpAddress = System.Net.IPAddress.Parse("192.0.2.9");
        c.Connection.RemotePort = 9;
        using var source = new CancellationTokenSource();
        c.RequestAborted = source.Token;
        var seen = string.Join(" ", request.Method, request.Scheme, request.PathBase,
            request.Path, request.QueryString, request.Protocol, request.Body == body,
            request.Headers["X-Own"], c.TraceIdentifier, c.Connection.Id,
            c.Connection.RemoteIpAddress, c.Connection.RemotePort,
            c.RequestAborted == source.Token);
        await c.Response.WriteAsync(seen);
    }

    private static async Task ReplacedResponse(HttpContext c)
    {
        var own = c.Response.Body;
        var caught = new MemoryStream();
        c.Response.Body = caught;
        await c.Response.WriteAsync("caught");
        c.Response.Body = own;
        var feature = c.Features.Get<IHttpResponseFeature>()!;
        feature.Headers = new HeaderDictionary { ["X-Own"] = "own" };
        feature.ReasonPhrase = "Own";
        c.Response.StatusCode = 202;
        await c.Response.WriteAsync(
            $"{System.Text.Encoding.ASCII.GetString(caught.ToArray())}, "
            + $"{c.Response.Body == own}");
    }

    private static async Task Cancelled(HttpContext c)
    {
        var cancelled = new CancellationToken(true);
        var seen = new[]
        {
            await Thrown(() => c.Request.Body.ReadAsync(new byte[1], cancelled).AsTask()),
            await Thrown(() => c.Response.Body.WriteAsync(new byte[1], cancelled)
                .AsTask()),
            await Thrown(() => c.Response.Body.FlushAsync(cancelled)),
        };
        await c.Response.WriteAsync(string.Join(" ", seen));
    }

    // The body can still be read after a read that gave up.
    private static async Task CancelledRead(HttpContext c)
    {
        using var source = new CancellationTokenSource(50);
        var seen = await Thrown(() => c.Request.Body.ReadAsync(new byte[1], source.Token)
            .AsTask());
        await c.Response.WriteAsync(seen);
        await c.Response.Body.FlushAsync();
        using var reader = new StreamReader(c.Request.Body);
        await c.Response.WriteAsync(" " + await reader.ReadToEndAsync());
    }

    private static async Task AfterTheClientLeft(HttpContext c)
    {
        var gone = new TaskCompletionSource();
        using var registered = c.RequestAborted.Register(() => gone.TrySetResult());
        await c.Response.WriteAsync("begun");
        await c.Response.Body.FlushAsync();
        await gone.Task;
        afterwards = string.Join(" ",
            await Thrown(() => c.Response.WriteAsync("x")),
            await Thrown(() => c.Response.Body.FlushAsync()),
            await Thrown(() => c.Response.Body.WriteAsync(
                new byte[1], c.RequestAborted).AsTask()),
            await Thrown(() => c.Request.Body.ReadAsync(new byte[1]).AsTask()));
    }
}
