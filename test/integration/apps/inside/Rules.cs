// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// What apps get away with under Kestrel and IIS.
#nullable enable
using Microsoft.AspNetCore.Http.Features;

internal static class Rules
{
    private static string s_seen = "";

    public static void Map(WebApplication app)
    {
        MapCallbacks(app);
        MapResponses(app);
        app.MapGet("/rules/seen", () => s_seen);
        app.MapGet("/rules/path/{**rest}", (HttpContext c) => c.Request.Path.Value);
        app.MapPost("/rules/forgotten", (HttpContext c) =>
        {
            s_seen = "";
            _ = SeeEnd(c.Request.Body.ReadAsync(new byte[10], 0, 10));
            return "x";
        });
        // One write that its app does not wait for, and the next response on that thread.
        app.MapGet("/rules/unawaited", (HttpContext c) =>
        {
            _ = c.Response.Body.WriteAsync(new byte[20_000_000]).AsTask();
        });
        app.MapGet("/rules/own", async (HttpContext c) =>
        {
            await c.Response.WriteAsync("of ");
            Thread.Sleep(5);
            await c.Response.WriteAsync("its own");
        });
        app.MapGet("/rules/strip", (HttpContext c) =>
        {
            foreach (var field in c.Request.Headers)
            {
                if (field.Key.StartsWith("X-"))
                {
                    c.Request.Headers.Remove(field.Key);
                }
            }
            return string.Join(' ', c.Request.Headers.Keys.Where(k => k[0] == 'X'));
        });
        app.MapGet("/rules/thread", () =>
        {
            var thread = Thread.CurrentThread;
            var before = $"{thread.IsBackground} {thread.Name}";

            thread.IsBackground = false;
            thread.Name = "of another request";
            return before;
        });
        app.MapPost("/rules/duplex", async (HttpContext c, bool late) =>
        {
            var body = new byte[100];
            var read = late ? Task.Run(() => c.Request.Body.ReadAsync(body, 0, 100))
                            : c.Request.Body.ReadAsync(body, 0, 100);

            for (var i = 0; i < 3; i++)
            {
                await Task.Delay(20);
                await c.Response.WriteAsync($"tick {i}\n");
                await c.Response.Body.FlushAsync();
            }
            await c.Response.WriteAsync($"read {await read}");
        });
        app.MapGet("/rules/nobody", (HttpContext c) =>
        {
            c.Connection.RemoteIpAddress = null;
            return c.Connection.RemoteIpAddress?.ToString() ?? "nobody";
        });
    }

    private static void MapCallbacks(WebApplication app)
    {
        app.MapGet("/rules/completed", (HttpContext c) =>
        {
            s_seen = "";
            c.Response.OnCompleted(() => See("last"));
            c.Response.OnCompleted(() =>
            {
                c.Response.OnCompleted(() => See("inner "));
                return See("first ");
            });
            return "x";
        });
        app.MapPost("/rules/aborted", (HttpContext c, bool blocks) =>
        {
            s_seen = "";
            c.Response.OnStarting(() => See("a response "));
            c.Response.OnCompleted(() => See(
                $"{c.Response.StatusCode} {c.RequestAborted.IsCancellationRequested}"));
            if (!blocks)
            {
                c.Abort();
            }
            try
            {
                new StreamReader(c.Request.Body).ReadToEndAsync().Wait();
            }
            catch (AggregateException) when (!blocks)
            {
                // It was this request that said so.
            }
        });
        app.MapGet("/rules/starting", async (HttpContext c, bool caught) =>
        {
            c.Response.OnStarting(() => throw new InvalidDataException("on purpose"));
            s_seen = "nothing";
            try
            {
                await c.Response.WriteAsync("x");
            }
            catch (Exception e) when (caught)
            {
                s_seen = $"{e.GetType().Name} {c.Response.HasStarted}";
                await Assert<ObjectDisposedException>(() => c.Response.WriteAsync("y"));
            }
        });
    }

    private static void MapResponses(WebApplication app)
    {
        app.MapGet("/rules/complete", async (HttpContext c, int n, bool late) =>
        {
            if (late)
            {
                await Task.Yield();
            }
            await c.Response.Body.WriteAsync(new byte[n]);
            await c.Response.CompleteAsync();
            throw new InvalidOperationException("on purpose");
        });
        app.MapGet("/rules/writer", (HttpContext c) =>
            c.Response.BodyWriter.Complete(new InvalidDataException("on purpose")));
        app.MapGet("/rules/status/{code}", (HttpContext c, int code) =>
        {
            c.Response.StatusCode = code;
        });
        app.MapGet("/rules/body/{code}", async (HttpContext c, int code) =>
        {
            c.Response.StatusCode = code;
            await c.Response.WriteAsync("is dropped");
        });
        app.MapGet("/rules/length", async (HttpContext c, int n) =>
        {
            await Assert<InvalidOperationException>(() =>
            {
                c.Response.Headers.ContentLength = 5;
                c.Response.Headers["Content-Length"] = "five";
                return Task.CompletedTask;
            });
            await c.Response.WriteAsync("hello");
            await Assert<InvalidOperationException>(
                () => c.Response.WriteAsync(new string('x', n)));
            await Assert<InvalidOperationException>(
                () => c.Response.SendFileAsync("/proc/self/stat"));
            c.Response.BodyWriter.GetMemory(1);
            await Assert<InvalidOperationException>(() =>
            {
                c.Response.BodyWriter.Advance(1);
                return Task.CompletedTask;
            });
        });
    }

    private static async Task SeeEnd(Task<int> read)
    {
        try
        {
            s_seen = (await read).ToString();
        }
        catch (Exception e)
        {
            s_seen = e.GetType().Name;
        }
    }

    private static Task See(string what)
    {
        s_seen += what;
        return Task.CompletedTask;
    }

    private static async Task Assert<T>(Func<Task> action) where T : Exception
    {
        try
        {
            await action();
        }
        catch (T)
        {
            return;
        }
        throw new InvalidProgramException("nothing was thrown");
    }
}
