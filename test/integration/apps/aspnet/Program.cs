// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An ASP.NET Core app for tests, written as if there were no mod_appcore: what it
// sees of a request is what its host gave it.
using System.Net.WebSockets;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddAuthentication();
builder.Services.AddAuthorization();
var app = builder.Build();

if (Environment.GetEnvironmentVariable("REDIRECT_TO_HTTPS") != null)
{
    app.UseHttpsRedirection();
}
app.UseWebSockets();

app.MapGet("/", () => "home");
app.Map("/seen", (HttpContext context) => new
{
    pid = Environment.ProcessId,
    method = context.Request.Method,
    scheme = context.Request.Scheme,
    host = context.Request.Host.Value,
    pathBase = context.Request.PathBase.Value,
    path = context.Request.Path.Value,
    query = context.Request.QueryString.Value,
    target = context.Features.Get<IHttpRequestFeature>()!.RawTarget,
    remote = context.Connection.RemoteIpAddress?.ToString(),
    remotePort = context.Connection.RemotePort,
    headers = context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString()),
});
app.MapGet("/raw/{**rest}", (HttpContext context) =>
    context.Features.Get<IHttpRequestFeature>()!.RawTarget);
app.MapGet("/certificate", async (HttpContext context) =>
{
    var certificate = await context.Connection.GetClientCertificateAsync();
    return certificate == null ? "none"
                               : certificate.Subject + " " + certificate.Thumbprint;
});
app.MapGet("/moved", (HttpContext context) =>
    Results.Redirect(context.Request.PathBase + "/target?x=1"));
app.MapGet("/moved-here", () => Results.LocalRedirect("~/target"));
app.MapGet("/link", (LinkGenerator links, HttpContext context) =>
    links.GetUriByName(context, "named", new { id = 7 }));
app.MapGet("/named/{id}", (int id) => id).WithName("named");
app.MapGet("/pid", () => Environment.ProcessId.ToString());
app.MapGet("/environment", () => Environment.GetEnvironmentVariables());
app.MapGet("/addresses", (IServer server) =>
    server.Features.Get<IServerAddressesFeature>()!.Addresses);
app.MapGet("/folder", () => new
{
    folder = Directory.GetCurrentDirectory(), content = app.Environment.ContentRootPath,
    home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile),
});
app.MapPost("/upload", async (HttpContext context) =>
{
    using var hash = SHA256.Create();
    var sum = await hash.ComputeHashAsync(context.Request.Body);
    return Convert.ToHexString(sum).ToLowerInvariant();
});
app.MapPost("/upload-any", async (HttpContext context) =>
{
    context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
    using var hash = SHA256.Create();
    var sum = await hash.ComputeHashAsync(context.Request.Body);
    return Convert.ToHexString(sum).ToLowerInvariant();
});
app.MapGet("/download", async (HttpContext context, int n) =>
{
    var piece = new byte[65536];
    for (var left = n; left > 0; left -= piece.Length)
    {
        await context.Response.Body.WriteAsync(
            piece.AsMemory(0, Math.Min(left, piece.Length)));
    }
});
app.MapGet("/slow", async (int ms) => { await Task.Delay(ms); return "done"; });
app.MapGet("/throw", () => { throw new InvalidOperationException("on purpose"); });
app.MapGet("/exit", (int code) => { Environment.Exit(code); });
app.Map("/socket", async (HttpContext context) =>
{
    if (!context.WebSockets.IsWebSocketRequest)
    {
        context.Response.StatusCode = 400;
        return;
    }
    using var socket = await context.WebSockets.AcceptWebSocketAsync();
    var buffer = new byte[4096];
    while (true)
    {
        var got = await socket.ReceiveAsync(buffer, default);
        if (got.MessageType == WebSocketMessageType.Close)
        {
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
            return;
        }
        await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType,
                               got.EndOfMessage, default);
    }
});
app.Run();
