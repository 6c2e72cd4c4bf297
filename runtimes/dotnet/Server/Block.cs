// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// A piece of a body: pinned memory, or a part of a file. The app fills it up to End, and
/// gives it free up to Mark; the pump has sent it up to Start.
/// </summary>
internal sealed unsafe class Block
{
    internal const int Size = 16384;
    private const int KeptMax = 512;
    private static readonly ConcurrentQueue<Block> s_kept = new();

    private Block(int size) => Data = GC.AllocateUninitializedArray<byte>(size, true);

    private Block(string path, long offset, long length)
    {
        Data = [];
        Path = path;
        Offset = offset;
        Length = length;
        End = 1;
    }

    internal byte[] Data { get; }

    internal string? Path { get; }

    internal long Offset { get; }

    internal long Length { get; }

    internal int Start { get; set; }

    internal int Mark { get; set; }

    internal int End { get; set; }

    internal Block? Next { get; set; }

    internal Span<byte> Free => Data.AsSpan(End);

    /// <summary>Bytes that may be sent; a file counts for one.</summary>
    internal int Ready => Mark - Start;

    internal byte* Pointer => (byte*)Unsafe.AsPointer(
        ref MemoryMarshal.GetArrayDataReference(Data));

    internal static Block Take(int atLeast)
    {
        if (atLeast > Size)
        {
            return new Block(atLeast);
        }
        return s_kept.TryDequeue(out var block) ? block : new Block(Size);
    }

    internal static Block OfFile(string path, long offset, long length) =>
        new(path, offset, length);

    internal void Rewind() => Start = Mark = End = 0;

    internal void Return()
    {
        if (Data.Length == Size && s_kept.Count < KeptMax)
        {
            Rewind();
            Next = null;
            s_kept.Enqueue(this);
        }
    }
}
