// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Concurrent;
using System.IO;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

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

    private Block(SafeFileHandle file, long offset, long length)
    {
        Data = [];
        File = file;
        Offset = offset;
        Length = length;
        End = 1;
    }

    internal byte[] Data { get; }

    /// <summary>Open until the host has its part, whatever becomes of its name.</summary>
    internal SafeFileHandle? File { get; }

    internal long Offset { get; private set; }

    internal long Length { get; private set; }

    /// <summary>httpd would have to read it, and to wait for its client meanwhile.
    /// </summary>
    internal bool IsRead { get; set; }

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

    internal static Block OfFile(string path, long offset, long? count)
    {
        var file = System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.Read,
                                             FileShare.ReadWrite | FileShare.Delete);

        try
        {
            var length = RandomAccess.GetLength(file);

            if (offset < 0 || offset > length)
            {
                throw new ArgumentOutOfRangeException(nameof(offset), offset, "");
            }
            if (count is { } wanted && (wanted < 0 || wanted > length - offset))
            {
                throw new ArgumentOutOfRangeException(nameof(count), count, "");
            }
            return new(file, offset, count ?? length - offset);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The next bytes of a file; none if they cannot be had.</summary>
    internal int Read(Span<byte> to)
    {
        int n;

        try
        {
            n = RandomAccess.Read(File!, to, Offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
        Offset += n;
        Length -= n;
        return n;
    }

    internal void Rewind() => Start = Mark = End = 0;

    internal void Return()
    {
        File?.Dispose();
        if (Data.Length == Size && s_kept.Count < KeptMax)
        {
            Rewind();
            Next = null;
            s_kept.Enqueue(this);
        }
    }
}
