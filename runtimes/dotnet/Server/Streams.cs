// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.IO;
using System.IO.Pipelines;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http.Features;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// What apps read from and write to: the body of the request, that of the response, or
/// both directions of an upgraded connection. An object of these is for one request: kept
/// longer than that it throws ObjectDisposedException, and never reaches another's.
/// </summary>
internal sealed class BodyStream(Exchange exchange, int generation, FileAccess access)
    : Stream
{
    public override bool CanRead => (access & FileAccess.Read) != 0;

    public override bool CanWrite => (access & FileAccess.Write) != 0;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    private Exchange Source => CanRead ? Valid : throw new NotSupportedException();

    private Exchange Target => CanWrite ? Valid : throw new NotSupportedException();

    private Exchange Valid
    {
        get
        {
            exchange.Check(generation);
            return exchange;
        }
    }

    private static Exchange Synchronous(Exchange valid) =>
        ((IHttpBodyControlFeature)valid).AllowSynchronousIO ? valid
            : throw new InvalidOperationException("Synchronous operations are "
                + "disallowed. Call the async version or set AllowSynchronousIO to "
                + "true instead.");

    public override long Seek(long offset, SeekOrigin origin) =>
        throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer,
                                             CancellationToken cancel = default) =>
        Source.ReadAsync(buffer, cancel);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count,
                                        CancellationToken cancel)
    {
        ValidateBufferArguments(buffer, offset, count);
        return ReadAsync(buffer.AsMemory(offset, count), cancel).AsTask();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Synchronous(Source).ReadAsync(buffer.AsMemory(offset, count), default)
            .AsTask().GetAwaiter().GetResult();
    }

    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count,
                                           AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, default), callback,
                                state);

    public override int EndRead(IAsyncResult asyncResult) =>
        TaskToAsyncResult.End<int>(asyncResult);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer,
                                         CancellationToken cancel = default) =>
        Target.WriteAsync(buffer, cancel);

    public override Task WriteAsync(byte[] buffer, int offset, int count,
                                    CancellationToken cancel)
    {
        ValidateBufferArguments(buffer, offset, count);
        return WriteAsync(buffer.AsMemory(offset, count), cancel).AsTask();
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Synchronous(Target).WriteAsync(buffer.AsMemory(offset, count), default)
            .AsTask().GetAwaiter().GetResult();
    }

    public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count,
                                            AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(WriteAsync(buffer, offset, count, default), callback,
                                state);

    public override void EndWrite(IAsyncResult asyncResult) =>
        TaskToAsyncResult.End(asyncResult);

    public override Task FlushAsync(CancellationToken cancel) =>
        CanWrite ? Target.FlushAsync(true, cancel).AsTask() : Task.CompletedTask;

    public override void Flush()
    {
        if (CanWrite)
        {
            Synchronous(Target).FlushAsync(true, default).AsTask().GetAwaiter()
                .GetResult();
        }
    }
}

internal sealed class ResponseWriter(Exchange exchange, int generation) : PipeWriter
{
    private bool _isCompleted;
    private bool _isCancelled;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => exchange.Unflushed;

    private Exchange Exchange
    {
        get
        {
            exchange.Check(generation);
            return !_isCompleted ? exchange : throw new InvalidOperationException(
                "Writing is not allowed after writer was completed.");
        }
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) =>
        Exchange.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => Exchange.GetSpan(sizeHint);

    public override void Advance(int bytes) => Exchange.Advance(bytes);

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancel = default)
    {
        var flush = Exchange.FlushAsync(false, cancel);

        return flush.IsCompletedSuccessfully ? new(Told()) : Wait(flush);
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source,
                                                      CancellationToken cancel = default)
    {
        var write = Exchange.WriteAsync(source, cancel);

        return write.IsCompletedSuccessfully ? new(Told()) : Wait(write);
    }

    public override void CancelPendingFlush() => _isCancelled = true;

    public override void Complete(Exception? exception = null)
    {
        if (exception != null && !_isCompleted)
        {
            Exchange.Fail(exception);
        }
        _isCompleted = true;
    }

    private async ValueTask<FlushResult> Wait(ValueTask flush)
    {
        await flush;
        return Told();
    }

    private FlushResult Told()
    {
        var isCancelled = _isCancelled;

        _isCancelled = false;
        return new(isCancelled, exchange.IsGone);
    }
}
