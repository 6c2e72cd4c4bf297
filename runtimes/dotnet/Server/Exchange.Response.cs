// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace AppCore.AspNetCore.Server;

/// <summary>How apps write a response: where streams, writer and features end.</summary>
internal abstract partial class Exchange
{
    /// <summary>OnStarting(), and the header fields are what they are.</summary>
    internal Task StartAsync()
    {
        if (_hasStarted)
        {
            return Task.CompletedTask;
        }
        if (_onStarting == null)
        {
            Start();
            return Task.CompletedTask;
        }
        return StartSlowlyAsync();
    }

    private async Task StartSlowlyAsync()
    {
        var generation = _generation;

        for (var list = _onStarting!; list.Count > 0 && _failure == null;)
        {
            var (callback, state) = list[^1];

            list.RemoveAt(list.Count - 1);
            try
            {
                await callback(state);
            }
            catch (Exception e)
            {
                Fail(e);
            }
            Check(generation);
        }
        // An app that goes on after that gets no response out without what was to be
        // done before it.
        if (_failure != null)
        {
            throw new ObjectDisposedException("The response has been aborted due to an "
                + "unhandled application exception.", _failure);
        }
        Start();
    }

    private void Start()
    {
        if (_hasStarted)
        {
            return;
        }
        _dechunker = HasBody(StatusCode) && IsChunked() ? new() : null;
        _hasStarted = true;
        FreezeHeaders();
        _expected = HasBody(StatusCode) && _dechunker == null
            ? _responseHeaders.ContentLength ?? -1 : -1;
    }

    // By the app itself, which says so.
    private bool IsChunked()
    {
        var said = _responseHeaders["Transfer-Encoding"];

        if (said.Count == 0 || (said is [{ } other] && other is "" or "identity"))
        {
            return false;
        }
        if (said is [{ } only]
            && only.Equals("chunked", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }
        throw new InvalidOperationException(
            $"A response with Transfer-Encoding {said} cannot be sent.");
    }

    private static bool HasBody(int status) =>
        status is not (>= 100 and < 200 or 204 or 304);

    internal ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancel);
        }
        if ((_hasStarted || _onStarting == null)
            && (data.Length <= HighWater || _isAborted))
        {
            Start();
            if (data.Length == 0 || _isAborted)
            {
                return default;
            }
            CheckRoom(data.Length);
            Append(data.Span);
            return FlushAsync(false, cancel);
        }
        return WriteSlowlyAsync(data, cancel);
    }

    private async ValueTask WriteSlowlyAsync(ReadOnlyMemory<byte> data,
                                             CancellationToken cancel)
    {
        // What an app does not wait for must not go on in the response of another.
        var generation = _generation;

        await StartAsync();
        Check(generation);
        CheckRoom(data.Length);
        while (!data.IsEmpty && !_isAborted)
        {
            var part = Math.Min(data.Length, HighWater);

            Append(data.Span[..part]);
            await FlushAsync(false, cancel);
            Check(generation);
            data = data[part..];
        }
    }

    /// <summary>What was appended may go out, even if the host has to wait for
    /// more. isNow: an inline delegate means it.</summary>
    internal ValueTask FlushAsync(bool isNow, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancel);
        }
        if (!_hasStarted)
        {
            if (_onStarting != null)
            {
                return FlushSlowlyAsync(isNow, cancel);
            }
            Start();
        }
        CheckLength();
        return new(Flush(isNow) is { } task ? task.WaitAsync(cancel)
                                            : Task.CompletedTask);
    }

    private async ValueTask FlushSlowlyAsync(bool isNow, CancellationToken cancel)
    {
        var generation = _generation;

        await StartAsync();
        Check(generation);
        await FlushAsync(isNow, cancel);
    }

    private void CheckLength()
    {
        if (_dechunker is { IsBroken: true })
        {
            throw new InvalidOperationException(
                "The response body is not chunked as Transfer-Encoding says.");
        }
        CheckRoom(0);
    }

    // So that nothing of what is too much goes out. Where the status has no body,
    // whatever is written is dropped by the host.
    private void CheckRoom(long bytes)
    {
        if (_expected >= 0 && _written + bytes > _expected)
        {
            throw new InvalidOperationException("Response Content-Length mismatch: too "
                + $"many bytes written ({_written + bytes} of {_expected}).");
        }
    }

    private bool IsTooShort(out Exception? problem)
    {
        problem = null;
        if (_isAborted || _isUpgraded)
        {
            return false;
        }
        try
        {
            Start();
            if (_dechunker != null)
            {
                lock (_gate)
                {
                    Commit();
                }
            }
            CheckLength();
            if (_dechunker is { IsDone: false } && !_isHead)
            {
                problem = new InvalidOperationException(
                    "The response body lacks its last chunk.");
            }
            if (_expected > _written && !_isHead)
            {
                problem = new InvalidOperationException("Response Content-Length "
                    + $"mismatch: too few bytes written ({_written} of {_expected}).");
            }
        }
        catch (InvalidOperationException e)
        {
            problem = e;
        }
        return problem != null;
    }

    /// <summary>The client has its response while the delegate goes on.</summary>
    internal async Task CompleteResponseAsync()
    {
        var generation = _generation;

        await StartAsync();
        Check(generation);
        if (IsTooShort(out var problem))
        {
            throw problem!;
        }
        bool mustPump, mustPost;
        ulong request;

        lock (_gate)
        {
            request = _request;
            CloseOutput();
            _isFlushWanted = true;
            mustPump = MustPump(out mustPost);
        }
        PumpOrPost(request, mustPump, mustPost);
    }

    /// <summary>It is open when this has been called, so the app may delete it; its bytes
    /// go out with what else is flushed.</summary>
    internal async Task SendFileAsync(string path, long offset, long? count,
                                      CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var generation = _generation;
        var part = Block.OfFile(path, offset, count);

        try
        {
            await StartAsync();
            if (part.Length == 0 && count == null)
            {
                await PourAsync(part, cancel);
            }
            Check(generation);
            CheckRoom(part.Length);
            MakeRoom(1);
        }
        catch
        {
            part.Return();
            throw;
        }
        if (part.Length <= 0 || _isAborted)
        {
            part.Return();
            return;
        }
        _written += part.Length;
        lock (_gate)
        {
            _files++;
            AddBlock(part);
            AddBlock(Block.Take(0));
        }
        await FlushAsync(false, cancel);
    }

    // Files of /proc and /sys do not know how long they are.
    private async Task PourAsync(Block file, CancellationToken cancel)
    {
        var piece = new byte[Block.Size];
        var generation = _generation;

        for (int n; (n = file.Read(piece)) > 0;)
        {
            Check(generation);
            await WriteAsync(piece.AsMemory(0, n), cancel);
        }
    }
}
