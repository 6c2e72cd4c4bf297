// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// Upgrades: what is offered, and WebSockets that echo.
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Features;

namespace AcceptanceSite;

internal static class Sockets
{
    private static int open;

    internal static void Add(Dictionary<string, RequestDelegate> endpoints)
    {
        endpoints["UpgradeFeatureDetection"] = c => c.Response.WriteAsync(
            c.Features.Get<IHttpUpgradeFeature>() == null ? "Disabled" : "Enabled");
        endpoints["IsUpgradable"] = c => c.Response.WriteAsync(
            (c.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true)
            .ToString());
        endpoints["OpenSockets"] = c => c.Response.WriteAsync(open.ToString());
        endpoints["WebSocketEcho"] = Echo;
        endpoints["WebSocketLifetimeEvents"] = LifetimeEvents;
        endpoints["WebSocketReadBeforeUpgrade"] = ReadBeforeUpgrade;
        endpoints["WebSocketCloses"] = Closes;
        endpoints["WebSocketThrows"] = async c =>
        {
            using var socket = await c.WebSockets.AcceptWebSocketAsync();
            throw new InvalidOperationException("thrown beside a socket");
        };
    }

    private static async Task Echo(HttpContext c)
    {
        if (!c.WebSockets.IsWebSocketRequest)
        {
            c.Response.StatusCode = 400;
            return;
        }
        using var socket = await c.WebSockets.AcceptWebSocketAsync(
            new WebSocketAcceptContext { DangerousEnableCompression = true });
        Interlocked.Increment(ref open);
        try
        {
            await Echo(socket);
        }
        finally
        {
            Interlocked.Decrement(ref open);
        }
    }

    private static async Task Echo(WebSocket socket)
    {
        var buffer = new byte[4096];
        while (true)
        {
            var got = await socket.ReceiveAsync(buffer, default);
            if (got.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(socket.CloseStatus!.Value,
                                        socket.CloseStatusDescription, default);
                return;
            }
            await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType,
                                   got.EndOfMessage, default);
        }
    }

    private static async Task LifetimeEvents(HttpContext c)
    {
        var events = "";
        c.Response.OnStarting(() =>
        {
            events += "OnStarting";
            return Task.CompletedTask;
        });
        using var socket = await c.WebSockets.AcceptWebSocketAsync();
        var text = System.Text.Encoding.ASCII.GetBytes(events + " Upgraded");
        await socket.SendAsync(text, WebSocketMessageType.Text, true, default);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
    }

    private static async Task ReadBeforeUpgrade(HttpContext c)
    {
        var n = await c.Request.Body.ReadAsync(new byte[1]);
        using var socket = await c.WebSockets.AcceptWebSocketAsync();
        await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes("read " + n),
                               WebSocketMessageType.Text, true, default);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
    }

    private static async Task Closes(HttpContext c)
    {
        using var socket = await c.WebSockets.AcceptWebSocketAsync();
        await socket.CloseAsync(WebSocketCloseStatus.EndpointUnavailable, "going away",
                                default);
    }
}
