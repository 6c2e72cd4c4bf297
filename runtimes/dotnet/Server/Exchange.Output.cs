// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// The response. The app appends to the last block without a lock and gives its bytes
/// free when it flushes; the pump sends them from the first. What an inline delegate
/// flushes waits until it returns or has written OneShot bytes, so that a small response
/// is one call of the host, with a Content-Length. Others do not wait for the client
/// either, until HighWater bytes do.
/// </summary>
internal abstract unsafe partial class Exchange
{
    private const int OneShot = 65536;
    private const int HighWater = 65536, LowWater = 32768;
    private const int Vectors = 16;
    private const int FilesMax = 8;

    private Block _first = null!, _last = null!;
    private long _queued, _unflushed;
    private int _files;
    private long _written, _expected;
    private bool _hasStarted, _isSaid, _isLast, _isLastSent, _isFlushWanted;
    private Dechunker? _dechunker;
    private TaskCompletionSource? _drained;

    internal bool IsGone => _isAborted;

    internal long Unflushed => _unflushed;

    private void BeginOutput()
    {
        _last = _first ??= Block.Take(0);
        _queued = _unflushed = _written = 0;
        _files = 0;
        _expected = -1;
        _hasStarted = _isSaid = _isLast = _isLastSent = _isFlushWanted = false;
        _dechunker = null;
        _drained = null;
    }

    private void EndOutput()
    {
        DropOutput();
        _first.Rewind();
    }

    /// <summary>Of the many that a peak leaves, none keeps much.</summary>
    internal void Shrink()
    {
        _first?.Return();
        _first = _last = null!;
    }

    // With nobody else at it: all but one block go.
    private void DropOutput()
    {
        while (_first.Next is { } next)
        {
            _first.Return();
            _first = next;
        }
        if (_first.Data.Length != Block.Size)
        {
            _first = Block.Take(0);
        }
        _last = _first;
        _queued = _unflushed = 0;
        _files = 0;
    }

    internal Memory<byte> GetMemory(int hint)
    {
        MakeRoom(hint);
        return _last.Data.AsMemory(_last.End);
    }

    internal Span<byte> GetSpan(int hint)
    {
        MakeRoom(hint);
        return _last.Free;
    }

    internal void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, _last.Free.Length);
        CheckRoom(bytes);
        _last.End += bytes;
        _unflushed += bytes;
        _written += bytes;
    }

    private void MakeRoom(int hint)
    {
        if (_isLast)
        {
            throw new InvalidOperationException(
                "Writing is not allowed after the response was completed.");
        }
        if (_last.Free.Length < Math.Max(hint, 1))
        {
            lock (_gate)
            {
                AddBlock(Block.Take(hint));
            }
        }
    }

    private void AddBlock(Block block)
    {
        _last.Next = block;
        _last = block;
    }

    private void Append(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            var room = GetSpan(1);
            var part = Math.Min(room.Length, data.Length);

            data[..part].CopyTo(room);
            Advance(part);
            data = data[part..];
        }
    }

    private Task? Flush(bool isNow)
    {
        bool mustPump, mustPost = false;
        ulong request;

        lock (_gate)
        {
            request = _request;
            if (_isAborted || request == 0)
            {
                return null;
            }
            Commit();
            _isFlushWanted = true;
            mustPump = (isNow || _queued >= OneShot || _files >= FilesMax || !IsInline)
                && MustPump(out mustPost);
            if (IsInline && !mustPump)
            {
                AskForHelp();
            }
        }
        PumpOrPost(request, mustPump, mustPost);
        lock (_gate)
        {
            if ((_queued < HighWater && _files < FilesMax) || _isAborted
                || _request != request)
            {
                return null;
            }
            if (IsInline)
            {
                AskForHelp();
            }
            _drained ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            return _drained.Task;
        }
    }

    // With _gate held.
    private void Commit()
    {
        for (var block = _first; block != null; block = block.Next)
        {
            if (_dechunker != null && block.Mark < block.End)
            {
                Strip(block, _dechunker);
            }
            block.Mark = block.End;
        }
        _queued += _unflushed;
        _unflushed = 0;
    }

    // What it holds since it was marked.
    private void Strip(Block block, Dechunker dechunker)
    {
        if (block.File != null)
        {
            dechunker.Skip(block.Length);
            return;
        }
        var kept = dechunker.Strip(block.Data.AsSpan(block.Mark..block.End));
        var gone = block.End - block.Mark - kept;

        block.End -= gone;
        _unflushed -= gone;
        _written -= gone;
    }

    /// <summary>A 500 in place of what was not sent; false if something was.</summary>
    private bool TryReplaceResponse(Exception error)
    {
        lock (_gate)
        {
            if (_isSaid || _isAborted)
            {
                return false;
            }
            // The delegate is through with its memory, and a pump that runs has not begun
            // to send it, nor does it outside of this lock.
            DropOutput();
            _first.Rewind();
            _written = 0;
            _expected = -1;
            _dechunker = null;
            _hasStarted = true;
            _responseTrailers = null;
            ReplaceResponse(error is BadHttpRequestException bad ? bad.StatusCode : 500);
        }
        return true;
    }

    // With _gate held: nothing comes any more.
    private void CloseOutput()
    {
        Commit();
        _isLast = true;
    }

    private void AbortOutput()
    {
        TaskCompletionSource? drained;

        lock (_gate)
        {
            drained = _drained;
            _drained = null;
        }
        drained?.TrySetResult();
    }

    // By the pump alone.
    private void WriteOut(ulong request)
    {
        while (!_isAborted && WriteSome(request))
        {
        }
        TaskCompletionSource? drained = null;

        lock (_gate)
        {
            if (_queued <= LowWater && _files < FilesMax)
            {
                drained = _drained;
                _drained = null;
            }
        }
        drained?.TrySetResult();
    }

    // Whether there may be more to do.
    private bool WriteSome(ulong request)
    {
        var vectors = stackalloc IoVector[Vectors];
        int count;
        long bytes;
        bool isAll, isLast, isBegun;
        Block? file;

        lock (_gate)
        {
            if (_isLastSent)
            {
                return false;
            }
            count = Collect(vectors, out bytes, out file);
            isAll = bytes == _queued && file == null;
            isLast = isAll && _isLast;
            if (!isLast && count == 0 && file == null && (_isSaid || !_isFlushWanted))
            {
                return false;
            }
            _isFlushWanted = false;
            // From here on nothing takes its place.
            isBegun = _isSaid;
            _isSaid = true;
        }
        if (isLast && !isBegun && bytes <= OneShot && IsWhole(bytes))
        {
            return Respond(request, vectors, count);
        }
        if (!isBegun && !Say(request))
        {
            return false;
        }
        if (count == 0 && file != null)
        {
            return SendFile(request, file);
        }
        if (isLast)
        {
            SendTrailers(request);
        }
        return Write(request, vectors, count, bytes, isLast);
    }

    // Whether Content-Length is the host's to count, and it will be right.
    private bool IsWhole(long bytes) =>
        !HasTrailers && HasBody(StatusCode) && (_expected < 0 || _expected == bytes)
        && (bytes > 0 || !_isHead);

    // With _gate held: what stands before the next file.
    private int Collect(IoVector* vectors, out long bytes, out Block? file)
    {
        var count = 0;

        bytes = 0;
        file = null;
        for (var block = _first; block != null && count < Vectors; block = block.Next)
        {
            if (block.Ready > 0 && block.File != null)
            {
                file = block;
                break;
            }
            if (block.Ready > 0)
            {
                vectors[count].Base = block.Pointer + block.Start;
                vectors[count++].Length = (nuint)block.Ready;
                bytes += block.Ready;
            }
        }
        return count;
    }

    // With _gate held: bytes were sent. The block that is being filled stays.
    private void Consume(long bytes)
    {
        _queued -= bytes;
        for (;;)
        {
            var part = (int)Math.Min(bytes, _first.Ready);

            _first.Start += part;
            bytes -= part;
            if (_first.Start < _first.End || _first.Next is not { } next)
            {
                break;
            }
            _files -= _first.File != null ? 1 : 0;
            _first.Return();
            _first = next;
        }
    }

    private bool Say(ulong request)
    {
        if (_isLast && _expected < 0 && IsWhole(_written))
        {
            AddLength(_written);
        }
        var count = Outgoing.Pack(_responseHeaders, _dechunker != null, out var fields);
        var reason = Outgoing.PackReason(StatusCode, _reasonPhrase);

        fixed (byte* p = reason)
        {
            return Accept(Bridge.Host->Start(request, StatusCode,
                                             new(p, reason.Length), fields, count));
        }
    }

    private bool Respond(ulong request, IoVector* vectors, int count)
    {
        var n = Outgoing.Pack(_responseHeaders, true, out var fields);
        var reason = Outgoing.PackReason(StatusCode, _reasonPhrase);

        _isLastSent = true;
        fixed (byte* p = reason)
        {
            Accept(Bridge.Host->Respond(request, StatusCode, new(p, reason.Length),
                                        fields, n, vectors, (nuint)count));
        }
        lock (_gate)
        {
            Consume(_queued);
        }
        return false;
    }

    private bool Write(ulong request, IoVector* vectors, int count, long bytes,
                       bool isLast)
    {
        var flags = Io.NonBlock | (isLast ? Io.Last | Io.Flush : Io.Flush);
        var taken = Bridge.Host->Write(request, vectors, (nuint)count, flags);

        if (taken == Result.Again || (taken >= 0 && taken < bytes))
        {
            lock (_gate)
            {
                Consume(Math.Max(taken, 0));
                if (IsInline)
                {
                    AskForHelp();
                }
            }
            return false;
        }
        if (!Accept((int)Math.Min(taken, 0)))
        {
            return false;
        }
        lock (_gate)
        {
            Consume(bytes);
            _isLastSent |= isLast;
        }
        return true;
    }

    private bool SendFile(ulong request, Block file)
    {
        if (file.IsRead)
        {
            return ReadFile(file);
        }
        var path = Encoding.ASCII.GetBytes(
            $"/proc/self/fd/{file.File!.DangerousGetHandle()}");

        fixed (byte* p = path)
        {
            var result = Bridge.Host->SendFile(request, new(p, path.Length), file.Offset,
                                               file.Length, Io.NonBlock | Io.Flush);

            if (result == Result.Unsupported)
            {
                return file.IsRead = true;
            }
            if (!Accept(result))
            {
                return false;
            }
        }
        lock (_gate)
        {
            file.Start = file.End;
            Consume(0);
        }
        return true;
    }

    // The next piece of it, in front of the rest.
    private bool ReadFile(Block file)
    {
        var piece = Block.Take(0);
        var part = (int)Math.Min(piece.Data.Length, file.Length);
        var n = file.Read(piece.Data.AsSpan(0, part));

        if (n == 0)
        {
            piece.Return();
            Abort(_request, new IOException("A file cannot be read, or became shorter."));
            return false;
        }
        piece.Mark = piece.End = n;
        lock (_gate)
        {
            Consume(0);
            file.Start += file.Length == 0 ? 1 : 0;
            piece.Next = _first;
            _first = piece;
            _queued += n;
        }
        return true;
    }

    private void SendTrailers(ulong request)
    {
        if (!HasTrailers)
        {
            return;
        }
        var count = Outgoing.Pack(_responseTrailers!, false, out var fields);

        for (nuint i = 0; i < count; i++)
        {
            Bridge.Host->Trailer(request, fields[i].Name, fields[i].Value);
        }
    }

    // The result of a call: what is not OK is the end of this exchange. What the host
    // refuses is a 500 if nothing was sent.
    private bool Accept(int result)
    {
        if (result == Result.Ok)
        {
            return true;
        }
        if (result == Result.Invalid)
        {
            Refuse(new InvalidOperationException("HTTP allows no such response: status "
                + $"{StatusCode} with {_responseHeaders.Count} header fields."));
            return false;
        }
        Abort(_request, result == Result.Gone ? null
              : new IOException($"mod_appcore refuses the response ({result})"));
        return false;
    }

    private void Refuse(Exception reason)
    {
        Failed(reason);
        lock (_gate)
        {
            _hasFailed = true;
        }
        Abort(_request, reason, isCut: false);
    }
}
