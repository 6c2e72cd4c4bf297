// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// How the app's life and that of a request end, and what it counted meanwhile.
namespace AcceptanceSite;

internal static class Life
{
    private static int waiting, hoarded;
    private static readonly List<byte[]> Hoard = new();
    private static readonly object Writing = new();

    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["ConsoleWrite"] = c =>
        {
            Console.WriteLine("TEST MESSAGE");
            return Task.CompletedTask;
        };
        endpoints["ConsoleErrorWrite"] = c =>
        {
            Console.Error.WriteLine("TEST MESSAGE");
            return Task.CompletedTask;
        };
        endpoints["CreateFile"] = c =>
        {
            var folder = Host<IWebHostEnvironment>(c).ContentRootPath;
            return File.WriteAllTextAsync(Path.Combine(folder, "Warm.txt"), "");
        };
        endpoints["Shutdown"] = c =>
        {
            Host<IHostApplicationLifetime>(c).StopApplication();
            return c.Response.WriteAsync("stopping");
        };
        endpoints["ShutdownStopAsync"] = c => StopHost(c, default);
        endpoints["ShutdownStopAsyncWithCancelledToken"] = c => StopHost(
            c, new CancellationToken(true));
        endpoints["Exit"] = c =>
        {
            Environment.Exit(int.Parse(c.Request.Query["code"].ToString()));
            return Task.CompletedTask;
        };
        endpoints["iisintegration"] = c => c.Response.WriteAsync("the app's own");
        endpoints["Slow"] = async c =>
        {
            await Task.Delay(int.Parse(c.Request.Query["ms"].ToString()));
            await c.Response.WriteAsync("slept");
        };
        Waiting(endpoints);
        Counting(endpoints);
    }

    private static T Host<T>(HttpContext c) where T : notnull =>
        c.RequestServices.GetRequiredService<T>();

    // Nothing may wait for the end of this request: it waits for the host's.
    private static async Task StopHost(HttpContext c, CancellationToken token)
    {
        var host = Host<IHost>(c);
        var stop = Task.Run(async () => await host.StopAsync(token));
        await Task.WhenAny(stop, Task.Delay(1000));
        await c.Response.WriteAsync("stopping");
    }

    private static void Waiting(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["WaitForAbort"] = async c =>
        {
            Interlocked.Increment(ref waiting);
            try
            {
                await Task.Delay(Timeout.Infinite, c.RequestAborted);
            }
            catch (OperationCanceledException)
            {
            }
            finally
            {
                Interlocked.Decrement(ref waiting);
            }
        };
        endpoints["WaitingRequestCount"] = c => c.Response.WriteAsync(waiting.ToString());
        endpoints["WaitForAppToStartShuttingDown"] = async c =>
        {
            await c.Response.WriteAsync("test1");
            await c.Response.Body.FlushAsync();
            var stopped = new TaskCompletionSource();
            Host<IHostApplicationLifetime>(c).ApplicationStopping.Register(
                () => stopped.TrySetResult());
            await stopped.Task;
            await c.Response.WriteAsync("test2");
        };
        endpoints["WaitForByte"] = async c =>
        {
            var buffer = new byte[1];
            Interlocked.Increment(ref waiting);
            await c.Request.Body.ReadExactlyAsync(buffer);
            Interlocked.Decrement(ref waiting);
            await c.Response.WriteAsync("done");
        };
        endpoints["LastReadFault"] = c => c.Response.WriteAsync(Bodies.LastReadFault);
    }

    private static void Counting(Dictionary<string, RequestDelegate> endpoints)
    {
        // Each call leaves a line: what was done twice shows.
        endpoints["DoOnce"] = async c =>
        {
            using var reader = new StreamReader(c.Request.Body);
            var id = await reader.ReadToEndAsync();
            var file = Environment.GetEnvironmentVariable("DONE_FILE") + "."
                       + Environment.ProcessId;
            lock (Writing)
            {
                File.AppendAllText(file, id + "\n");
            }
            await c.Response.WriteAsync(id);
        };
        endpoints["MemoryLeak"] = c =>
        {
            var piece = new byte[10 << 20];
            Array.Fill(piece, (byte)1);
            lock (Hoard)
            {
                Hoard.Add(piece);
                hoarded += piece.Length;
            }
            return c.Response.WriteAsync(hoarded.ToString());
        };
    }

    // Requests that came before the app had said that it is ready.
    internal static void Note(HttpContext c)
    {
        if (!Host<IHostApplicationLifetime>(c).ApplicationStarted.IsCancellationRequested)
        {
            c.Response.Headers["X-Early"] = "1";
        }
    }
}
