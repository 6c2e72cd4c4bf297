// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AppCore.AspNetCore;

/// <summary>
/// Kestrel's transport, but what is bound to our port gets the inherited socket and
/// looks as if it were bound to that port on loopback, and connected from there.
/// </summary>
internal sealed class Transport : IConnectionListenerFactory,
                                  IConnectionListenerFactorySelector
{
    private const int Inherited = 3;
    private readonly SocketTransportFactory _stock;
    private readonly SocketTransportFactory _ours;
    private readonly KestrelServerOptions _server;
    private int _taken;

    public Transport(IOptions<SocketTransportOptions> options,
                     IOptions<KestrelServerOptions> server, ILoggerFactory log)
    {
        _server = server.Value;
        _stock = new SocketTransportFactory(options, log);
        _ours = new SocketTransportFactory(Options.Create(Copy(options.Value)), log);
    }

    public bool CanBind(EndPoint endpoint) => _stock.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint,
                                                          CancellationToken cancel)
    {
        if (endpoint is IPEndPoint ip && ip.Port == Contract.Port
            && IPAddress.IsLoopback(ip.Address)
            && Interlocked.Exchange(ref _taken, 1) == 0)
        {
            StartupHook.Safely(() => SayProtocol(ip));
            return new Listener(await _ours.BindAsync(endpoint, cancel), ip);
        }
        return await _stock.BindAsync(endpoint, cancel);
    }

    /// <summary>
    /// What Kestrel will speak here, which it tells no transport. Where its members are
    /// others than these, nothing is said, and mod_appcore asks.
    /// </summary>
    private void SayProtocol(IPEndPoint endpoint)
    {
        const BindingFlags Inner = BindingFlags.Instance | BindingFlags.NonPublic;
        var options = typeof(ListenOptions).GetConstructors(Inner).FirstOrDefault(
            c => c.GetParameters() is [var only]
                && only.ParameterType.IsInstanceOfType(endpoint))?.Invoke([endpoint]);
        var apply = typeof(KestrelServerOptions).GetMethod(
            "ApplyEndpointDefaults", Inner, [typeof(ListenOptions)]);

        if (options is ListenOptions listen && apply != null)
        {
            apply.Invoke(_server, [listen]);
            Contract.Say("X_APPCORE_PROTOCOL="
                + (listen.Protocols == HttpProtocols.Http2 ? "h2c" : "http/1.1"));
        }
    }

    private static SocketTransportOptions Copy(SocketTransportOptions from) => new()
    {
        Backlog = from.Backlog,
        IOQueueCount = from.IOQueueCount,
        MaxReadBufferSize = from.MaxReadBufferSize,
        MaxWriteBufferSize = from.MaxWriteBufferSize,
        NoDelay = from.NoDelay,
        UnsafePreferInlineScheduling = from.UnsafePreferInlineScheduling,
        WaitForDataBeforeAllocatingBuffer = from.WaitForDataBeforeAllocatingBuffer,
        CreateBoundListenSocket = _ => new Socket(new SafeSocketHandle(Inherited, true)),
    };

    private sealed class Listener(IConnectionListener inner, IPEndPoint shown)
        : IConnectionListener
    {
        // httpd has no port at its end.
        private readonly IPEndPoint _peer = new(IPAddress.Loopback, 0);

        public EndPoint EndPoint => shown;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancel)
        {
            var connection = await inner.AcceptAsync(cancel);

            if (connection != null)
            {
                connection.LocalEndPoint = shown;
                connection.RemoteEndPoint = _peer;
            }
            return connection;
        }

        public ValueTask UnbindAsync(CancellationToken cancel) =>
            inner.UnbindAsync(cancel);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
