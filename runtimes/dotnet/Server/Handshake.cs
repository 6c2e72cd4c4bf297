// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;

namespace AppCore.AspNetCore.Server;

/// <summary>What mod_ssl says of a TLS connection, in the terms of .NET.</summary>
internal sealed class Handshake(string? protocol, string? cipher, string? bits,
                                string? name)
{
    private readonly string _cipher = cipher ?? "";

    internal SslProtocols Protocol { get; } = protocol switch
    {
        "TLSv1.3" => SslProtocols.Tls13,
        "TLSv1.2" => SslProtocols.Tls12,
#pragma warning disable SYSLIB0039 // What the client speaks is told, liked or not.
        "TLSv1.1" => SslProtocols.Tls11,
        "TLSv1" => SslProtocols.Tls,
#pragma warning restore SYSLIB0039
        _ => SslProtocols.None,
    };

    internal string HostName { get; } = name ?? "";

    internal int Bits { get; } = int.TryParse(
        bits, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 0;

    /// <summary>OpenSSL has names of its own for what came before TLS 1.3.</summary>
    internal TlsCipherSuite? Suite
    {
        get
        {
            if (_cipher.StartsWith("TLS_", StringComparison.Ordinal))
            {
                return Enum.TryParse<TlsCipherSuite>(_cipher, out var same) ? same : null;
            }
            foreach (var suite in Enum.GetValues<TlsCipherSuite>())
            {
                if (OpenSslName(suite.ToString()) == _cipher)
                {
                    return suite;
                }
            }
            return null;
        }
    }

    internal CipherAlgorithmType Cipher => _cipher switch
    {
        _ when Has("AES256") || Has("AES_256") => CipherAlgorithmType.Aes256,
        _ when Has("AES128") || Has("AES_128") => CipherAlgorithmType.Aes128,
        _ when Has("AES") => CipherAlgorithmType.Aes,
        _ => CipherAlgorithmType.None,
    };

    internal HashAlgorithmType Hash => _cipher switch
    {
        _ when Has("SHA384") => HashAlgorithmType.Sha384,
        _ when Has("SHA256") => HashAlgorithmType.Sha256,
        _ when Has("SHA") => HashAlgorithmType.Sha1,
        _ => HashAlgorithmType.None,
    };

    internal ExchangeAlgorithmType KeyExchange => _cipher switch
    {
        _ when Has("DHE") => ExchangeAlgorithmType.DiffieHellman,
        _ when Has("RSA") => ExchangeAlgorithmType.RsaKeyX,
        _ => ExchangeAlgorithmType.None,
    };

    private bool Has(string part) => _cipher.Contains(part, StringComparison.Ordinal);

    // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 is ECDHE-RSA-AES256-GCM-SHA384.
    private static string OpenSslName(string suite) =>
        suite["TLS_".Length..].Replace("_WITH_", "-").Replace("AES_256", "AES256")
            .Replace("AES_128", "AES128").Replace("CHACHA20_POLY1305_SHA256",
                                                  "CHACHA20-POLY1305").Replace('_', '-');
}
