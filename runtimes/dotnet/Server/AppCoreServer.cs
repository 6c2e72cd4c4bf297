// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace AppCore.AspNetCore.Server;

/// <summary>The server of the one app that an httpd child runs: httpd.</summary>
internal sealed partial class AppCoreServer : IServer
{
    private const string UnhandledText =
        "An unhandled exception was thrown by the application.";

    private readonly ServerAddressesFeature _addresses = new();
    private readonly IHostApplicationLifetime? _lifetime;
    private readonly ILogger _log;
    private readonly TaskCompletionSource _drained =
        new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released =
        new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _isEnding, _isStopping, _isDraining, _isStopped;
    private bool _isClosed, _isStarted;
    private TimeSpan _limit;    // written before _released is set

    public AppCoreServer(ILoggerFactory log, IOptions<IISServerOptions> iis,
                         IOptions<IISOptions> integration,
                         IOptions<KestrelServerOptions> kestrel,
                         IHostApplicationLifetime? lifetime = null)
    {
        var standard = new KestrelServerLimits().MaxRequestBodySize;

        _log = log.CreateLogger("AppCore.AspNetCore.Server");
        _lifetime = lifetime;
        // What the app said for the server that it was written for counts.
        var stock = Stock(kestrel);
        var said = stock.Limits.MaxRequestBodySize;

        BodyLimit = said != standard ? said : iis.Value.MaxRequestBodySize;
        AllowSynchronousIO = iis.Value.AllowSynchronousIO || stock.AllowSynchronousIO;
        AutomaticAuthentication = iis.Value.AutomaticAuthentication
            && integration.Value.AutomaticAuthentication;
        Features.Set<IServerAddressesFeature>(_addresses);
        SayAddresses();
    }

    public IFeatureCollection Features { get; } = new FeatureCollection();

    // A server that is not used needs none of the certificates that it is told of.
    private KestrelServerOptions Stock(IOptions<KestrelServerOptions> kestrel)
    {
        try
        {
            return kestrel.Value;
        }
        catch (Exception e)
        {
            LogNoOptions(e, e.Message);
            return new();
        }
    }

    internal long? BodyLimit { get; }

    internal bool AllowSynchronousIO { get; }

    internal bool AutomaticAuthentication { get; }

    internal bool IsClosed => Volatile.Read(ref _isClosed);

    public Task StartAsync<TContext>(IHttpApplication<TContext> application,
                                     CancellationToken cancellationToken)
        where TContext : notnull
    {
        // An app that named others is reached by these all the same.
        SayAddresses();
        _isStarted = true;
        // Whoever ends the app: httpd begins another child.
        _lifetime?.ApplicationStopping.Register(SayEnd);
        Contract.ForgetStartup();
        Calls.Open(this, number => new Exchange<TContext>(number, this, application));
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (!_isStarted || Interlocked.Exchange(ref _isStopping, 1) != 0)
        {
            await _drained.Task.WaitAsync(cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }
        SayEnd();
        // Connections of this child may still bring requests, and nobody else can answer
        // those; only httpd knows when there are none any more.
        await _released.Task.WaitAsync(cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Volatile.Write(ref _isDraining, 1);
        OnIdle();
        await DrainAsync(cancellationToken);
        if (!_drained.Task.IsCompleted)
        {
            LogNotDrained();
            await AbortAsync();
        }
        Close();
    }

    public void Dispose()
    {
        if (_isStarted)
        {
            Close();
        }
    }

    /// <summary>httpd has no more requests for this child, and so much time.</summary>
    internal void Release(TimeSpan limit)
    {
        _limit = limit;
        _released.TrySetResult();
    }

    internal void AskToStop()
    {
        try
        {
            _lifetime?.StopApplication();
        }
        catch (Exception e)
        {
            LogFault(e);
        }
    }

    /// <summary>An exchange became free.</summary>
    internal void OnIdle()
    {
        if (Volatile.Read(ref _isDraining) == 0)
        {
            return;
        }
        foreach (var exchange in Calls.All)
        {
            if (exchange!.IsBusy)
            {
                return;
            }
        }
        _drained.TrySetResult();
    }

    // Something is left of httpd's time for the services that stop after the server.
    private async Task DrainAsync(CancellationToken cancellationToken)
    {
        using var limit =
            CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        limit.CancelAfter(_limit / 2);
        await _drained.Task.WaitAsync(limit.Token)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    // As Kestrel does with connections; delegates have a moment to notice.
    private async Task AbortAsync()
    {
        var reason = new OperationCanceledException("The server is stopping.");

        foreach (var exchange in Calls.All.ToArray())
        {
            exchange!.AbortAtEnd(reason);
        }
        await _drained.Task.WaitAsync(TimeSpan.FromSeconds(1))
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Close()
    {
        Volatile.Write(ref _isClosed, true);
        Interlocked.MemoryBarrier();
        if (Interlocked.Exchange(ref _isStopped, 1) == 0)
        {
            Bridge.Stopped();
        }
    }

    private void SayEnd()
    {
        if (Interlocked.Exchange(ref _isEnding, 1) == 0)
        {
            Bridge.Stopping();
        }
    }

    private void SayAddresses()
    {
        _addresses.Addresses.Clear();
        foreach (var address in Bridge.Addresses())
        {
            _addresses.Addresses.Add(address);
        }
    }

    internal void LogFault(Exception error) => LogUnexpected(error);

    internal void LogApplicationError(Exception error, string connection,
                                      string request) =>
        LogUnhandled(error, connection, request);

    internal void LogBadRequest(BadHttpRequestException error, string connection,
                                string request) =>
        LogBad(error, connection, request, error.Message);

    internal void LogAborted(string connection, string request) =>
        LogGone(connection, request);

    [LoggerMessage(1, LogLevel.Error, "Unexpected exception in AppCore.AspNetCore.")]
    private partial void LogUnexpected(Exception error);

    [LoggerMessage(2, LogLevel.Error, "Connection id \"{ConnectionId}\", Request id "
        + "\"{TraceIdentifier}\": " + UnhandledText)]
    private partial void LogUnhandled(Exception error, string connectionId,
                                      string traceIdentifier);

    [LoggerMessage(3, LogLevel.Information, "Connection id \"{ConnectionId}\", Request "
        + "id \"{TraceIdentifier}\" bad request data: \"{Message}\"")]
    private partial void LogBad(Exception error, string connectionId,
                                string traceIdentifier, string message);

    [LoggerMessage(4, LogLevel.Debug, "Connection id \"{ConnectionId}\", Request id "
        + "\"{TraceIdentifier}\": the request was aborted.")]
    private partial void LogGone(string connectionId, string traceIdentifier);

    [LoggerMessage(6, LogLevel.Warning, "What the app says of Kestrel, which does not "
        + "serve it here, counts for nothing: {Message}")]
    private partial void LogNoOptions(Exception error, string message);

    [LoggerMessage(5, LogLevel.Warning,
                   "Requests were not done when the time for it was over.")]
    private partial void LogNotDrained();
}
