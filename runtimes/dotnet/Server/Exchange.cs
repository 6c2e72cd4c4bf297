// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// One request and its response. The app's delegate runs on the worker that called
/// handle() ("inline") until it waits for something, from then on on the thread pool.
///
/// The host's functions may be called inline and in callbacks of the request, which all
/// end in Pump(); other threads leave what they want in fields and post() it. _gate
/// guards these fields and is never held while the host is called. One thread at a time
/// is the pump; who comes meanwhile makes it go round again.
///
/// It is free again when the delegate has run, the request has ended, and handle() has
/// returned: _holds counts that.
/// </summary>
internal abstract partial class Exchange
{
    private readonly object _gate = new();
    private ulong _request;
    private int _generation = 1;
    private int _holds;
    private int _inline;
    private int _busy;
    private bool _wantsHelp;
    private ulong _stuck;
    private bool _isPumping, _again, _isPosted;
    private bool _isOver, _hasEndedInline, _hasFailed;
    private bool _isAborted;
    private Exception? _abortReason, _failure;
    private List<(Func<object, Task>, object)>? _onStarting, _onCompleted;

    protected Exchange(int number, AppCoreServer server)
    {
        Number = number;
        _onReadCancelled = _ => OnReadCancelled();
        Server = server;
    }

    internal nint Number { get; }

    protected AppCoreServer Server { get; }

    internal bool IsBusy => Volatile.Read(ref _busy) != 0;

    private bool IsInline => _inline == Environment.CurrentManagedThreadId;

    protected abstract Task RunAsync();

    internal unsafe int Handle(ulong request, Info* info)
    {
        // A full fence: either this sees that the server is closed, or that sees us.
        Interlocked.Exchange(ref _busy, 1);
        if (Server.IsClosed)
        {
            Volatile.Write(ref _busy, 0);
            Calls.Recycle(this);
            return Refuse(request);
        }
        Begin(request, info);
        _ = RunAsync();
        var result = _hasEndedInline ? _hasFailed ? Result.Failed : Result.Done
                                     : Result.Pending;
        lock (_gate)
        {
            _inline = 0;
            _wantsHelp = false;
        }
        if (result == Result.Pending)
        {
            Pump(request);
        }
        Release();
        return result;
    }

    private static unsafe int Refuse(ulong request)
    {
        fixed (byte* name = "Retry-After"u8, value = "1"u8)
        {
            var field = new Field { Name = new(name, 11), Value = new(value, 1) };

            Bridge.Host->Respond(request, 503, default, &field, 1, null, 0);
        }
        return Result.Done;
    }

    private unsafe void Begin(ulong request, Info* info)
    {
        _holds = 3;
        _generation++;
        _isPumping = _again = _isPosted = false;
        _isOver = _hasEndedInline = _hasFailed = _isAborted = false;
        _abortReason = _failure = null;
        BeginRequest(info);
        BeginInput(info);
        BeginOutput();
        lock (_gate)
        {
            _inline = Environment.CurrentManagedThreadId;
            _request = request;
        }
        // Asks the host.
        BeginUser(info);
    }

    protected void Release()
    {
        if (Interlocked.Decrement(ref _holds) == 0)
        {
            EndInput();
            EndOutput();
            EndRequest();
            Volatile.Write(ref _busy, 0);
            Calls.Recycle(this);
            Server.OnIdle();
        }
    }

    /// <summary>What others left to be done; in a callback of the request.</summary>
    internal void Pump(ulong request, bool wasPosted = false)
    {
        lock (_gate)
        {
            if (_request != request)
            {
                return;
            }
            _isPosted &= !wasPosted;
            if (_isPumping)
            {
                _again = true;
                return;
            }
            _isPumping = true;
        }
        do
        {
            WriteOut(request);
            ReadIn(request);
        }
        while (GoesOn(request));
    }

    private unsafe bool GoesOn(ulong request)
    {
        lock (_gate)
        {
            if (_again)
            {
                _again = false;
                return true;
            }
            _isPumping = false;
            if (!_isOver || !(_isLastSent || _isAborted))
            {
                return false;
            }
            _request = 0;
            _hasEndedInline = IsInline;
        }
        if (!_hasEndedInline)
        {
            Bridge.Host->Complete(request, _hasFailed ? Result.Failed : Result.Ok);
        }
        Release();
        return false;
    }

    /// <summary>With _gate held: whether the pump is to be called by the caller, inline,
    /// without it.</summary>
    private bool MustPump(out bool mustPost)
    {
        mustPost = false;
        if (_isPumping)
        {
            _again = true;
            return false;
        }
        if (IsInline)
        {
            return true;
        }
        mustPost = !_isPosted && _request != 0;
        _isPosted |= mustPost;
        return false;
    }

    private unsafe void PumpOrPost(ulong request, bool mustPump, bool mustPost)
    {
        if (mustPump)
        {
            Pump(request);
        }
        else if (mustPost
            && Bridge.Host->Post(request, &Calls.OnPosted, (void*)Number) != Result.Ok)
        {
            Disconnect(request);
            EndIfAborted(request);
        }
    }

    // An inline delegate that blocks keeps the host from telling what became possible,
    // and what it wrote from going out.
    private void AskForHelp()
    {
        _wantsHelp = true;
        Rescue.Watch();
    }

    /// <summary>By the clock: whether this is to be looked at again.</summary>
    internal bool Help()
    {
        ulong request;

        lock (_gate)
        {
            request = _request;
            if (request == 0 || !_wantsHelp || _inline == 0)
            {
                return false;
            }
            if (_stuck != request)
            {
                _stuck = request;
                return true;
            }
            if (_isPosted || _isPumping)
            {
                return true;
            }
            _isPosted = true;
        }
        PumpOrPost(request, false, true);
        return true;
    }

    /// <summary>The delegate has run, and what OnStarting() asked for.</summary>
    private void End(bool hasFailed)
    {
        bool mustPump, mustPost;
        ulong request;

        _generation++;
        lock (_gate)
        {
            request = _request;
            _hasFailed |= hasFailed;
            _isOver = true;
            CloseOutput();
            mustPump = MustPump(out mustPost);
        }
        PumpOrPost(request, mustPump, mustPost);
    }

    // Nothing is left to be said; any thread may end it.
    private unsafe void EndIfAborted(ulong request)
    {
        lock (_gate)
        {
            if (_request != request || !_isOver || !_isAborted || _isPumping)
            {
                return;
            }
            _request = 0;
        }
        Bridge.Host->Complete(request, Result.Failed);
        Release();
    }

    /// <summary>The client is gone; any thread.</summary>
    internal void Disconnect(ulong request) => Abort(request, null);

    /// <summary>The host has no such request any more, and did not run what was posted.
    /// </summary>
    internal void Lose(ulong request)
    {
        lock (_gate)
        {
            if (_request != request)
            {
                return;
            }
            _isPosted = false;
        }
        Disconnect(request);
        EndIfAborted(request);
    }

    internal void AbortAtEnd(Exception reason)
    {
        ulong request;

        lock (_gate)
        {
            request = _request;
        }
        if (request != 0)
        {
            Abort(request, reason);
        }
    }

    // isCut: the host is to know it now. resetCode: of HTTP/2, for the client.
    private unsafe void Abort(ulong request, Exception? reason, int? resetCode = null,
                              bool isCut = true)
    {
        CancellationTokenSource? source;

        lock (_gate)
        {
            if (_request != request || _isAborted)
            {
                return;
            }
            _isAborted = true;
            _abortReason = reason;
            source = _abortSource;
        }
        if (resetCode is { } code)
        {
            Bridge.Host->Reset(request, unchecked((uint)code));
        }
        else if (reason != null && isCut)
        {
            Bridge.Host->Abort(request);
        }
        AbortOutput();
        AbortInput();
        if (source != null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(Cancel, source, false);
        }
    }

    private void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (Exception e)
        {
            Server.LogApplicationError(e, ConnectionId, TraceIdentifier);
        }
    }

    /// <summary>The response is none that may be sent, even if the delegate has no
    /// exception.</summary>
    internal void Fail(Exception error) => Failed(_failure = error);

    protected void Failed(Exception error)
    {
        if (_isAborted && error is OperationCanceledException or System.IO.IOException)
        {
            Server.LogAborted(ConnectionId, TraceIdentifier);
        }
        else if (error is BadHttpRequestException bad)
        {
            Server.LogBadRequest(bad, ConnectionId, TraceIdentifier);
        }
        else
        {
            Server.LogApplicationError(error, ConnectionId, TraceIdentifier);
        }
    }

    /// <summary>Gives the response its end, whichever it is now.</summary>
    protected Task FinishAsync(Exception? error)
    {
        if (error == null && _onStarting != null && !_hasStarted && _failure == null
            && !_isAborted)
        {
            return FinishSlowlyAsync();
        }
        Finish(error ?? _failure);
        return Task.CompletedTask;
    }

    private async Task FinishSlowlyAsync()
    {
        Exception? error = null;

        try
        {
            await StartAsync();
        }
        catch (Exception e)
        {
            error = e;
            if (_failure == null)
            {
                Failed(e);
            }
        }
        Finish(_failure ?? error);
    }

    private void Finish(Exception? error)
    {
        if (_isAborted && !_hasStarted && error is not BadHttpRequestException)
        {
            // For logs and metrics: nobody was told that all is well.
            _status = StatusCodes.Status499ClientClosedRequest;
        }
        if (error == null && IsTooShort(out var problem))
        {
            Failed(error = problem!);
        }
        // What the app completed is whole, whatever went wrong afterwards.
        if (error == null || _isLast)
        {
            End(false);
        }
        else if (TryReplaceResponse(error))
        {
            End(false);
        }
        else
        {
            Abort(_request, error);
            End(true);
        }
    }

    protected bool HasCompletions => _onCompleted != null;

    protected async Task CompleteAsync()
    {
        // What one of them registers, as a scope that it opens, comes next.
        for (var list = _onCompleted!; list.Count > 0;)
        {
            var (callback, state) = list[^1];

            list.RemoveAt(list.Count - 1);
            try
            {
                await callback(state);
            }
            catch (Exception e)
            {
                Server.LogApplicationError(e, ConnectionId, TraceIdentifier);
            }
        }
    }

    internal void Check(int generation) =>
        ObjectDisposedException.ThrowIf(generation != _generation, typeof(HttpContext));
}

/// <summary>
/// No IHostContextContainer, so that every request has an HttpContext of its own: the
/// next one is of another client, and what an app keeps for too long is to be dead then.
/// </summary>
internal sealed class Exchange<TContext>(int number, AppCoreServer server,
                                         IHttpApplication<TContext> application)
    : Exchange(number, server)
    where TContext : notnull
{
    // As every async method it leaves nothing of its ExecutionContext to its caller, so
    // that no AsyncLocal reaches the next request of the worker.
    protected override async Task RunAsync()
    {
        TContext? context = default;
        Exception? error = null;
        var hasContext = false;

        try
        {
            context = application.CreateContext(this);
            hasContext = true;
            await application.ProcessRequestAsync(context);
        }
        catch (Exception e)
        {
            Failed(error = e);
        }
        try
        {
            await FinishAsync(error);
            if (HasCompletions)
            {
                await CompleteAsync();
            }
            if (hasContext)
            {
                application.DisposeContext(context!, error);
            }
        }
        catch (Exception e)
        {
            Failed(e);
        }
        Release();
    }
}
