// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// Answers: status, fields, lengths, trailers, and those that break off.
using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace AcceptanceSite;

internal static class Responses
{
    private static volatile bool completedSeen;

    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        Fields(endpoints);
        Bodies(endpoints);
        Ends(endpoints);
    }

    private static Task Text(HttpContext c, string text) => c.Response.WriteAsync(text);

    private static void Fields(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["ResponseHeaders"] = c =>
        {
            c.Response.Headers["UnknownHeader"] = "test123=foo";
            c.Response.ContentType = "text/plain";
            c.Response.Headers["MultiHeader"] = new[] { "1", "2" };
            return Text(c, "Request Complete");
        };
        endpoints["ResponseEmptyHeaders"] = c =>
        {
            c.Response.Headers["EmptyHeader"] = "";
            return Text(c, "EmptyHeaderShouldBeSkipped");
        };
        endpoints["SetStatus"] = async c =>
        {
            var query = c.Request.Query;
            c.Response.StatusCode = int.Parse(query["code"].ToString());
            if (query.ContainsKey("reason"))
            {
                c.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = query["reason"];
            }
            if (query["body"].ToString() is string body && body != "")
            {
                await Text(c, body);
            }
        };
        endpoints["OverrideServer"] = c =>
        {
            c.Response.Headers.Server = "MyServer/7.8";
            return Text(c, "served");
        };
        endpoints["ConnectionClose"] = c =>
        {
            c.Response.Headers.Connection = "close";
            return Text(c, "closing");
        };
        endpoints["Cookies"] = c =>
        {
            c.Response.Cookies.Append("a", "1");
            c.Response.Cookies.Append("b", "2");
            return Text(c, "set");
        };
        endpoints["StatusAfterWrite"] = async c =>
        {
            await Text(c, "Started_");
            await c.Response.Body.FlushAsync();
            await Text(c, Throws(() => c.Response.StatusCode = 200)
                          && Throws(() => c.Response.Headers["a"] = "b")
                          ? "Threw_" : "Quiet_");
            await Text(c, "Finished");
        };
    }

    private static bool Throws(Action action)
    {
        try
        {
            action();
            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }

    private static void Bodies(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["LargeResponseBody"] = async c =>
        {
            var left = long.Parse(c.Request.Query["length"].ToString());
            var piece = Encoding.ASCII.GetBytes(new string('a', 65536));
            while (left > 0)
            {
                var n = (int)Math.Min(left, piece.Length);
                await c.Response.Body.WriteAsync(piece.AsMemory(0, n));
                left -= n;
            }
        };
        endpoints["LargeResponseFile"] = async c =>
        {
            var path = Path.GetTempFileName();
            try
            {
                using (var file = File.Create(path))
                {
                    file.SetLength(long.Parse(c.Request.Query["length"].ToString()));
                }
                await c.Response.SendFileAsync(path);
            }
            finally
            {
                File.Delete(path);
            }
        };
        endpoints["CompressedData"] = async c =>
        {
            c.Response.Headers.ContentEncoding = "gzip";
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, true))
            {
                gzip.Write(new byte[4096]);
            }
            c.Response.ContentLength = packed.Length;
            c.Response.Headers["X-Bytes"] = Convert.ToHexString(packed.ToArray());
            await c.Response.Body.WriteAsync(packed.ToArray());
        };
        endpoints["Compressible"] = c =>
        {
            c.Response.ContentType = "text/plain";
            return Text(c, new string('z', 20000));
        };
        endpoints["UnflushedResponsePipe"] = c =>
        {
            Write(c, 10);
            return Task.CompletedTask;
        };
        endpoints["FlushedPipeAndThenUnflushedPipe"] = async c =>
        {
            Write(c, 10);
            await c.Response.BodyWriter.FlushAsync();
            Write(c, 10);
        };
        endpoints["Counter"] = c =>
        {
            c.Response.Headers["MyCustomHeader"] = DateTime.UtcNow.Ticks.ToString();
            c.Response.Headers.CacheControl = "public, max-age=1";
            return Text(c, "counted");
        };
        endpoints["ResponseTrailers"] = Trailers;
    }

    private static void Write(HttpContext c, int n)
    {
        c.Response.BodyWriter.GetSpan(n)[..n].Fill((byte)'a');
        c.Response.BodyWriter.Advance(n);
    }

    private static async Task Trailers(HttpContext c)
    {
        var query = c.Request.Query;
        if (query.ContainsKey("declare"))
        {
            c.Response.DeclareTrailer("TrailerName");
        }
        if (query["body"].ToString() is string body && body != "")
        {
            if (query.ContainsKey("length"))
            {
                c.Response.ContentLength = body.Length;
            }
            await Text(c, body);
        }
        if (!c.Response.SupportsTrailers())
        {
            return;
        }
        c.Response.AppendTrailer("TrailerName", query.ContainsKey("several")
            ? new[] { "One", "Two" } : "TrailerValue");
        if (query.ContainsKey("complete"))
        {
            await c.Response.CompleteAsync();
        }
    }

    private static void Ends(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["Throw"] = _ => throw new Exception("thrown by an endpoint");
        endpoints["ThrowAfterWrite"] = async c =>
        {
            await Text(c, "begun");
            await c.Response.Body.FlushAsync();
            throw new Exception("thrown in the middle of an answer");
        };
        endpoints["OnCompletedThrows"] = c =>
        {
            c.Response.OnCompleted(() => throw new Exception("thrown on completion"));
            return Task.CompletedTask;
        };
        endpoints["CompleteAsync"] = async c =>
        {
            await Text(c, "completed early");
            await c.Response.CompleteAsync();
            while (!File.Exists("release"))
            {
                await Task.Delay(10);
            }
            completedSeen = true;
        };
        endpoints["CompleteAsync_Completed"] = c => Text(c, completedSeen.ToString());
        endpoints["Abort"] = c =>
        {
            c.Abort();
            return Task.CompletedTask;
        };
        endpoints["AbortAfterWrite"] = async c =>
        {
            await Text(c, "begun");
            await c.Response.Body.FlushAsync();
            c.Abort();
        };
        endpoints["Reset"] = c =>
        {
            var reset = c.Features.Get<IHttpResetFeature>();
            if (reset == null)
            {
                return Text(c, "cannot reset");
            }
            reset.Reset(int.Parse(c.Request.Query["code"].ToString()));
            return Task.CompletedTask;
        };
    }
}
