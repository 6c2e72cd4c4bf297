// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// Header fields as the host wants them, in memory of the thread that is good until the
/// next time.
/// </summary>
internal static unsafe class Outgoing
{
    private const int ReasonsMax = 600;
    private static readonly string ContentLength = "Content-Length";
    private static readonly byte[]?[] s_reasons = new byte[]?[ReasonsMax];

    [ThreadStatic]
    private static byte[]? t_bytes;
    [ThreadStatic]
    private static Field[]? t_fields;

    /// <summary>What the app says, or else ASP.NET Core's for the status: httpd has none
    /// for some, and others than Kestrel for a few.</summary>
    internal static ReadOnlySpan<byte> PackReason(int status, string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            return Encoding.ASCII.GetBytes(text);
        }
        if (status == StatusCodes.Status200OK || status is < 0 or >= ReasonsMax)
        {
            return default;
        }
        return s_reasons[status] ??=
            Encoding.ASCII.GetBytes(ReasonPhrases.GetReasonPhrase(status));
    }

    /// <summary>Empty values are left out, several are several fields. isWhole: the host
    /// counts the body itself.</summary>
    internal static nuint Pack(IHeaderDictionary headers, bool isWhole, out Field* fields)
    {
        Measure(headers, out var bytesMax, out var fieldsMax);
        if (t_bytes == null || t_bytes.Length < bytesMax)
        {
            t_bytes = GC.AllocateUninitializedArray<byte>(Math.Max(4096, bytesMax), true);
        }
        if (t_fields == null || t_fields.Length < fieldsMax)
        {
            t_fields = GC.AllocateUninitializedArray<Field>(Math.Max(64, fieldsMax),
                                                            true);
        }
        // Both are pinned.
        fixed (Field* to = t_fields)
        fixed (byte* start = t_bytes)
        {
            fields = to;
            return Fill(headers, isWhole, to, start);
        }
    }

    private static nuint Fill(IHeaderDictionary headers, bool isWhole, Field* to, byte* p)
    {
        nuint n = 0;

        if (headers is Fields own)
        {
            foreach (ref readonly var field in own.Span)
            {
                Add(field, isWhole, to, ref n, ref p);
            }
        }
        else
        {
            foreach (var field in headers)
            {
                Add(field, isWhole, to, ref n, ref p);
            }
        }
        return n;
    }

    private static void Measure(IHeaderDictionary headers, out int bytes, out int fields)
    {
        bytes = fields = 0;
        if (headers is Fields own)
        {
            foreach (ref readonly var field in own.Span)
            {
                Measure(field, ref bytes, ref fields);
            }
        }
        else
        {
            foreach (var field in headers)
            {
                Measure(field, ref bytes, ref fields);
            }
        }
    }

    private static void Measure(in KeyValuePair<string, StringValues> field,
                                ref int bytes, ref int fields)
    {
        for (var i = 0; i < field.Value.Count; i++)
        {
            // UTF-8 takes at most three bytes for one char.
            bytes = checked(
                bytes + 3 * (field.Key.Length + (field.Value[i]?.Length ?? 0)));
            fields++;
        }
    }

    private static void Add(in KeyValuePair<string, StringValues> field, bool isWhole,
                            Field* to, ref nuint n, ref byte* p)
    {
        if (isWhole
            && field.Key.Equals(ContentLength, StringComparison.OrdinalIgnoreCase))
        {
            return;
        }
        for (var i = 0; i < field.Value.Count; i++)
        {
            if (field.Value[i] is { Length: > 0 } value)
            {
                to[n].Name = Put(field.Key, ref p);
                to[n++].Value = Put(value, ref p);
            }
        }
    }

    private static Str Put(string text, ref byte* p)
    {
        var start = p;
        var length = Encoding.UTF8.GetBytes(text, new Span<byte>(p, 3 * text.Length));

        p += length;
        return new(start, length);
    }
}
