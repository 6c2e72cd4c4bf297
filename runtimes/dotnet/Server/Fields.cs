// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// Header or trailer fields in the order in which they came. There are few, most names
/// are the very objects that ASP.NET Core asks with, and filling must cost nothing, so
/// this is an array and no hash table.
/// </summary>
internal sealed class Fields : IHeaderDictionary
{
    private KeyValuePair<string, StringValues>[] _fields =
        new KeyValuePair<string, StringValues>[16];

    public int Count { get; private set; }

    public bool IsReadOnly { get; internal set; }

    internal ReadOnlySpan<KeyValuePair<string, StringValues>> Span =>
        _fields.AsSpan(0, Count);

    /// <summary>Whether they go to the client, and thus must be none that split the
    /// response.</summary>
    internal bool IsChecked { get; init; }

    public StringValues this[string key]
    {
        get => Find(key) is var i and >= 0 ? _fields[i].Value : StringValues.Empty;
        set => Put(key, value, true);
    }

    public long? ContentLength
    {
        get => this[HeaderNames.ContentLength] is [{ } text]
            && TryParse(text, out var length) ? length : null;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value ?? 0, nameof(value));
            Put(HeaderNames.ContentLength,
                value?.ToString(CultureInfo.InvariantCulture), true);
        }
    }

    public ICollection<string> Keys
    {
        get
        {
            var keys = new List<string>(Count);

            foreach (ref readonly var field in Span)
            {
                keys.Add(field.Key);
            }
            return keys;
        }
    }

    public ICollection<StringValues> Values
    {
        get
        {
            var values = new List<StringValues>(Count);

            foreach (ref readonly var field in Span)
            {
                values.Add(field.Value);
            }
            return values;
        }
    }

    /// <summary>For the next request.</summary>
    internal void Reset()
    {
        Array.Clear(_fields, 0, Count);
        Count = 0;
        IsReadOnly = false;
    }

    /// <summary>One field as it came; what came under that name stays.</summary>
    internal void Receive(string name, string value)
    {
        var i = Find(name);

        if (i < 0)
        {
            Append(name, value);
        }
        else
        {
            // HTTP/2 may send a cookie in pieces.
            var old = _fields[i].Value;
            var all = name == "Cookie" ? new($"{old}; {value}")
                                       : StringValues.Concat(old, value);

            _fields[i] = new(_fields[i].Key, all);
        }
    }

    /// <summary>What the server adds after the app has had its say.</summary>
    internal void AddLate(string name, string value) => Append(name, value);

    public bool ContainsKey(string key) => Find(key) >= 0;

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out StringValues value)
    {
        var i = Find(key);

        value = i < 0 ? default : _fields[i].Value;
        return i >= 0;
    }

    public void Add(string key, StringValues value) => Put(key, value, false);

    public void Add(KeyValuePair<string, StringValues> item) =>
        Put(item.Key, item.Value, false);

    public bool Remove(string key)
    {
        ThrowIfReadOnly();
        var i = Find(key);

        if (i >= 0)
        {
            RemoveAt(i);
        }
        return i >= 0;
    }

    public bool Remove(KeyValuePair<string, StringValues> item) =>
        Contains(item) && Remove(item.Key);

    public bool Contains(KeyValuePair<string, StringValues> item) =>
        TryGetValue(item.Key, out var value) && value == item.Value;

    public void Clear()
    {
        ThrowIfReadOnly();
        Reset();
    }

    public void CopyTo(KeyValuePair<string, StringValues>[] array, int arrayIndex) =>
        Span.CopyTo(array.AsSpan(arrayIndex));

    /// <summary>Of a copy, since the loop may remove what it is given: no field may be
    /// passed over by that.</summary>
    public IEnumerator<KeyValuePair<string, StringValues>> GetEnumerator() =>
        ((IEnumerable<KeyValuePair<string, StringValues>>)Span.ToArray()).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private int Find(string key)
    {
        var span = Span;

        for (var i = 0; i < span.Length; i++)
        {
            if (ReferenceEquals(span[i].Key, key))
            {
                return i;
            }
        }
        for (var i = 0; i < span.Length; i++)
        {
            if (span[i].Key.Length == key.Length
                && span[i].Key.Equals(key, StringComparison.OrdinalIgnoreCase))
            {
                return i;
            }
        }
        return -1;
    }

    private void Put(string key, StringValues value, bool mayReplace)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        ThrowIfReadOnly();
        if (IsChecked)
        {
            Characters.CheckName(key);
            Characters.CheckValue(value);
            CheckLength(key, value);
        }
        var i = Find(key);

        if (i >= 0 && !mayReplace)
        {
            throw new ArgumentException($"There is a field {key} already.");
        }
        if (value.Count == 0)
        {
            if (i >= 0)
            {
                RemoveAt(i);
            }
        }
        else if (i >= 0)
        {
            _fields[i] = new(_fields[i].Key, value);
        }
        else
        {
            Append(key, value);
        }
    }

    // The host would refuse the whole response.
    private static void CheckLength(string key, StringValues value)
    {
        if (key.Length == HeaderNames.ContentLength.Length && value.Count > 0
            && key.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase)
            && (value is not [{ } text] || !TryParse(text, out _)))
        {
            throw new InvalidOperationException($"Invalid Content-Length: \"{value}\". "
                + "Value must be a positive integral number.");
        }
    }

    private static bool TryParse(string text, out long length) => long.TryParse(
        text, NumberStyles.None, CultureInfo.InvariantCulture, out length);

    private void Append(string key, StringValues value)
    {
        if (Count == _fields.Length)
        {
            Array.Resize(ref _fields, 2 * Count);
        }
        _fields[Count++] = new(key, value);
    }

    private void RemoveAt(int i)
    {
        Count--;
        Array.Copy(_fields, i + 1, _fields, i, Count - i);
        _fields[Count] = default;
    }

    private void ThrowIfReadOnly()
    {
        if (IsReadOnly)
        {
            throw new InvalidOperationException(
                "Headers are read-only, response has already started.");
        }
    }
}
