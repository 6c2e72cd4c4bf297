// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// Takes the framing off a body that an app has chunked itself, as it may: the host
/// frames every body as the connection wants it. Extensions and trailers are dropped.
/// </summary>
internal sealed class Dechunker
{
    // 15 hexadecimal digits, so that no size is too large for a long.
    private const int DigitsMax = 15;
    private State _state = State.Size;
    private int _digits;
    private long _left;
    private bool _hasText;

    private enum State
    {
        Size, SizeEnd, Data, DataEnd, Trailer, Done, Broken,
    }

    internal bool IsDone => _state == State.Done;

    internal bool IsBroken => _state == State.Broken;

    /// <summary>Moves what is body to the front, and tells how much that is.</summary>
    internal int Strip(Span<byte> data)
    {
        var kept = 0;

        for (var i = 0; i < data.Length;)
        {
            if (_state != State.Data)
            {
                Take(data[i++]);
                continue;
            }
            var part = (int)Math.Min(_left, data.Length - i);

            data.Slice(i, part).CopyTo(data[kept..]);
            Skip(part);
            kept += part;
            i += part;
        }
        return kept;
    }

    /// <summary>So much of a chunk goes out by another way.</summary>
    internal void Skip(long bytes)
    {
        if (_state != State.Data || bytes > _left)
        {
            _state = State.Broken;
            return;
        }
        _left -= bytes;
        if (_left == 0)
        {
            _state = State.DataEnd;
        }
    }

    private void Take(byte c)
    {
        switch (_state)
        {
            case State.Size:
                TakeSize(c);
                break;
            case State.SizeEnd:
                _state = c == '\n' ? AfterSize() : State.SizeEnd;
                break;
            case State.DataEnd:
                _state = c == '\n' ? State.Size
                    : c == '\r' ? State.DataEnd : State.Broken;
                _digits = 0;
                break;
            case State.Trailer:
                _state = c == '\n' && !_hasText ? State.Done : State.Trailer;
                _hasText = c != '\n' && (_hasText || c != '\r');
                break;
            default:
                _state = State.Broken;
                break;
        }
    }

    private void TakeSize(byte c)
    {
        var digit = c is >= (byte)'0' and <= (byte)'9' ? c - '0'
            : (c | 0x20) is >= 'a' and <= 'f' ? (c | 0x20) - 'a' + 10 : -1;

        if (digit >= 0 && _digits < DigitsMax)
        {
            _left = (_digits++ == 0 ? 0 : _left * 16) + digit;
            return;
        }
        _state = _digits == 0 || digit >= 0 ? State.Broken
            : c == '\n' ? AfterSize()
            : c is (byte)'\r' or (byte)';' or (byte)' ' or (byte)'\t' ? State.SizeEnd
            : State.Broken;
    }

    private State AfterSize() => _left > 0 ? State.Data : State.Trailer;
}
