// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Buffers;
using System.Collections.Frozen;
using System.Collections.Generic;
using System.Reflection;
using System.Text;
using System.Text.Unicode;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace AppCore.AspNetCore.Server;

/// <summary>Bytes of requests as strings, and what strings a response may have.</summary>
internal static class Characters
{
    private const string Latin1Switch =
        "Microsoft.AspNetCore.Server.IIS.Latin1RequestHeaders";
    private static readonly SearchValues<char> Token = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    private static readonly FrozenDictionary<string, string> Names = KnownNames();
    private static readonly Encoding ValueEncoding =
        AppContext.TryGetSwitch(Latin1Switch, out var on) && on ? Encoding.Latin1
                                                                : Encoding.UTF8;

    /// <summary>The string of the bytes, which is the one of the last time if they were
    /// the same.</summary>
    internal static string Decode(ref string? last, Str bytes)
    {
        var span = bytes.Span;

        return last != null && last.Length == span.Length && Ascii.Equals(span, last)
            ? last : last = Encoding.UTF8.GetString(span);
    }

    /// <summary>Bytes that are no UTF-8 are escaped, as they came: no two paths become
    /// the same.</summary>
    internal static string DecodePath(ref string? last, Str bytes)
    {
        if (Utf8.IsValid(bytes.Span))
        {
            return Decode(ref last, bytes);
        }
        var path = new StringBuilder();

        for (var rest = bytes.Span; !rest.IsEmpty;)
        {
            var isValid = Rune.DecodeFromUtf8(rest, out var rune, out var length)
                == OperationStatus.Done;

            foreach (var c in isValid ? default : rest[..length])
            {
                path.Append('%').Append(c.ToString("X2"));
            }
            path.Append(isValid ? rune.ToString() : "");
            rest = rest[length..];
        }
        return path.ToString();
    }

    internal static string DecodeValue(ref string? last, Str bytes)
    {
        var span = bytes.Span;

        return last != null && last.Length == span.Length && Ascii.Equals(span, last)
            ? last : last = ValueEncoding.GetString(span);
    }

    /// <summary>As ASP.NET Core spells it, however the client did.</summary>
    internal static string DecodeName(ref string? last, Str bytes)
    {
        var span = bytes.Span;

        if (last == null || last.Length != span.Length
            || !Ascii.EqualsIgnoreCase(span, last))
        {
            var name = Encoding.UTF8.GetString(span);

            last = Names.GetValueOrDefault(name, name);
        }
        return last;
    }

    internal static string DecodeQuery(ref string? last, Str bytes)
    {
        var span = bytes.Span;

        if (span.IsEmpty)
        {
            return "";
        }
        return last != null && last.Length == span.Length + 1
            && Ascii.Equals(span, last.AsSpan(1))
            ? last : last = "?" + Encoding.UTF8.GetString(span);
    }

    internal static void CheckName(string name)
    {
        if (name.AsSpan().IndexOfAnyExcept(Token) is var i and >= 0)
        {
            ThrowInvalid(name[i]);
        }
    }

    internal static void CheckValue(StringValues values)
    {
        for (var i = 0; i < values.Count; i++)
        {
            CheckValue(values[i]);
        }
    }

    internal static void CheckValue(string? value)
    {
        var rest = value.AsSpan();

        for (int i; (i = rest.IndexOfAnyExceptInRange(' ', '~')) >= 0;
             rest = rest[(i + 1)..])
        {
            if (rest[i] < 0x80 && rest[i] != '\t')
            {
                ThrowInvalid(rest[i]);
            }
        }
    }

    private static void ThrowInvalid(char c) => throw new InvalidOperationException(
        $"Invalid non-ASCII or control character in header: 0x{(ushort)c:X4}");

    // So that most look-ups are settled by comparing references.
    private static FrozenDictionary<string, string> KnownNames()
    {
        var names = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        foreach (var field in typeof(HeaderNames).GetFields(
            BindingFlags.Public | BindingFlags.Static))
        {
            if (field.GetValue(null) is string { Length: > 0 } name && name[0] != ':')
            {
                names[name] = name;
            }
        }
        return names.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }
}
