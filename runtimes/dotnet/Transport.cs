// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
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
    private int _taken;

    public Transport(IOptions<SocketTransportOptions> options, ILoggerFactory log)
    {
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
            return new Listener(await _ours.BindAsync(endpoint, cancel), ip);
        }
        return await _stock.BindAsync(endpoint, cancel);
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
