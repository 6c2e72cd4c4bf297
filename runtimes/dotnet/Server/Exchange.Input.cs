// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// The body of the request, or what comes on an upgraded connection. Nothing is read
/// before the app asks, so that a slow app slows its client. One read waits at most; the
/// pump serves it. For small reads from the thread pool it reads ahead one block.
/// </summary>
internal abstract unsafe partial class Exchange : IValueTaskSource<int>
{
    private readonly Action<object?> _onReadCancelled;
    private ManualResetValueTaskSourceCore<int> _read =
        new() { RunContinuationsAsynchronously = true };
    private bool _isReadPending, _isReading, _hasRead, _isBodyRead;
    private Memory<byte> _readTo;
    private CancellationToken _readCancel;
    private CancellationTokenRegistration _readRegistration;
    private Block? _ahead;
    private long _consumed, _contentLength;
    private long? _bodyLimit;

    private void BeginInput(Info* info)
    {
        _isReadPending = _isReading = _hasRead = false;
        _isBodyRead = (info->Flags & (InfoFlags.HasBody | InfoFlags.Connect)) == 0;
        _contentLength = info->ContentLength;
        _consumed = 0;
        _bodyLimit = Server.BodyLimit;
    }

    private void EndInput()
    {
        bool isAwaited;

        lock (_gate)
        {
            isAwaited = _isReadPending;
            _isReadPending = false;
        }
        if (isAwaited)
        {
            // By nobody whom the delegate waited for, but who is not to wait for ever.
            _readRegistration.Unregister();
            _readRegistration = default;
            _read.SetException(new ObjectDisposedException(nameof(HttpContext)));
        }
        _readTo = default;
        _readCancel = default;
        _ahead?.Return();
        _ahead = null;
    }

    internal ValueTask<int> ReadAsync(Memory<byte> to, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancel);
        }
        ThrowIfAborted();
        if (_isBodyRead)
        {
            return new(0);
        }
        _hasRead = true;
        if (!_isUpgraded && Math.Max(_contentLength, _consumed) > _bodyLimit)
        {
            throw TooLarge();
        }
        if (to.IsEmpty)
        {
            return new(0);
        }
        if (_ahead is { } ahead && ahead.Start < ahead.End)
        {
            return new(TakeAhead(ahead, to.Span));
        }
        if (IsInline && !_isUpgraded)
        {
            var n = ReadNative(_request, to.Span);

            if (n != Result.Again)
            {
                return new(Received(n));
            }
        }
        return Wait(to, cancel);
    }

    private ValueTask<int> Wait(Memory<byte> to, CancellationToken cancel)
    {
        bool mustPump, mustPost = false;
        ulong request;

        lock (_gate)
        {
            ThrowIfAborted();
            if (_isReadPending)
            {
                throw new InvalidOperationException(
                    "Concurrent reads are not supported.");
            }
            request = _request;
            ObjectDisposedException.ThrowIf(request == 0, typeof(HttpContext));
            _read.Reset();
            _isReadPending = true;
            _readTo = to;
            _readCancel = cancel;
            // Inline, it was tried before, or is as soon as the delegate returns.
            mustPump = !IsInline && MustPump(out mustPost);
            if (IsInline)
            {
                AskForHelp();
            }
        }
        var task = new ValueTask<int>(this, _read.Version);

        if (cancel.CanBeCanceled)
        {
            _readRegistration = cancel.UnsafeRegister(_onReadCancelled, null);
        }
        PumpOrPost(request, mustPump, mustPost);
        return task;
    }

    // By the pump alone.
    private void ReadIn(ulong request)
    {
        Memory<byte> to;

        lock (_gate)
        {
            if (!_isReadPending || _isAborted)
            {
                return;
            }
            to = _readTo;
            _isReading = true;
        }
        var n = to.Length >= Block.Size || _isUpgraded ? ReadNative(request, to.Span)
                                                       : ReadAhead(request, to.Span);

        lock (_gate)
        {
            _isReading = false;
            if (!_isReadPending || (n == Result.Again && !_isAborted
                && !_readCancel.IsCancellationRequested))
            {
                return;
            }
            _isReadPending = false;
        }
        Settle(n);
    }

    // What the pump found, for the read that waits.
    private void Settle(int n)
    {
        int received;

        _readRegistration.Unregister();
        _readRegistration = default;
        try
        {
            if (n == Result.Again)
            {
                _readCancel.ThrowIfCancellationRequested();
                ThrowIfAborted();
            }
            received = Received(n);
        }
        catch (Exception e)
        {
            _read.SetException(e);
            return;
        }
        _read.SetResult(received);
    }

    private int ReadAhead(ulong request, Span<byte> to)
    {
        var ahead = _ahead ??= Block.Take(0);

        ahead.Rewind();
        var n = ReadNative(request, ahead.Data);

        if (n <= 0)
        {
            return n;
        }
        ahead.End = n;
        return TakeAhead(ahead, to);
    }

    private static int TakeAhead(Block ahead, Span<byte> to)
    {
        var part = Math.Min(to.Length, ahead.End - ahead.Start);

        ahead.Data.AsSpan(ahead.Start, part).CopyTo(to);
        ahead.Start += part;
        return part;
    }

    private static int ReadNative(ulong request, Span<byte> to)
    {
        fixed (byte* p = to)
        {
            return (int)Bridge.Host->Read(request, p, (nuint)to.Length, Io.NonBlock);
        }
    }

    private int Received(int n)
    {
        if (n > 0)
        {
            _consumed += n;
            return _isUpgraded || !(_consumed > _bodyLimit) ? n : throw TooLarge();
        }
        _isBodyRead |= n == 0;
        return n switch
        {
            0 => 0,
            Result.TooLarge => throw TooLarge(),
            Result.Malformed => throw new BadHttpRequestException(
                "Bad chunk size data.", StatusCodes.Status400BadRequest),
            Result.Timeout => throw new BadHttpRequestException(
                "Reading the request body timed out due to data arriving too slowly.",
                StatusCodes.Status408RequestTimeout),
            Result.Gone => throw Lost(),
            _ => throw new IOException($"The request cannot be read ({n})"),
        };
    }

    private static BadHttpRequestException TooLarge() => new(
        "Request body too large.", StatusCodes.Status413PayloadTooLarge);

    // Perhaps before on_disconnect() says so: what the app makes of it is no fault.
    private ConnectionResetException Lost()
    {
        Disconnect(_request);
        return Disconnected();
    }

    private static ConnectionResetException Disconnected() =>
        new("The client has disconnected");

    private void ThrowIfAborted()
    {
        if (_isAborted)
        {
            throw _abortReason == null ? Disconnected() : new ConnectionAbortedException(
                _abortReason.Message, _abortReason);
        }
    }

    private void AbortInput()
    {
        lock (_gate)
        {
            // One that reads finds out itself.
            if (!_isReadPending || _isReading)
            {
                return;
            }
            _isReadPending = false;
        }
        Settle(Result.Again);
    }

    private void OnReadCancelled()
    {
        lock (_gate)
        {
            if (!_isReadPending || _isReading || !_readCancel.IsCancellationRequested)
            {
                return;
            }
            _isReadPending = false;
        }
        Settle(Result.Again);
    }

    int IValueTaskSource<int>.GetResult(short token) => _read.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) =>
        _read.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) =>
        _read.OnCompleted(continuation, state, token, flags);
}
