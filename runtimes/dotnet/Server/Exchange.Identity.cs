// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Claims;
using System.Security.Cryptography.X509Certificates;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace AppCore.AspNetCore.Server;

/// <summary>Who the client is, and how it came: from httpd's variables.</summary>
internal abstract unsafe partial class Exchange
{
    private ClaimsPrincipal? _user;
    private ClaimsPrincipal? _sentUser;
    private X509Certificate2? _certificate;
    private bool _hasCertificate;
    private Handshake? _handshake;

    /// <summary>The user that httpd authenticated, for the scheme.</summary>
    internal ClaimsPrincipal? SentUser => _sentUser;

    private void BeginUser(Info* info)
    {
        if (info->User.Length == 0 || !Users.AreTold)
        {
            return;
        }
        var roles = Variable("APPCORE_GROUPS")?.Split(
            '\n', StringSplitOptions.RemoveEmptyEntries) ?? [];

        _sentUser = Users.Make(info->User.ToString(), info->AuthType.ToString(), roles);
        if (Server.AutomaticAuthentication)
        {
            _user = _sentUser;
        }
    }

    ClaimsPrincipal? IHttpAuthenticationFeature.User
    {
        get => _user;
        set => _user = value;
    }

    // ITlsConnectionFeature

    X509Certificate2? ITlsConnectionFeature.ClientCertificate
    {
        get
        {
            if (!_hasCertificate)
            {
                _hasCertificate = true;
                _certificate = Variable("SSL_CLIENT_CERT") is { Length: > 0 } pem
                    ? X509Certificate2.CreateFromPem(pem) : null;
            }
            return _certificate;
        }
        set
        {
            _hasCertificate = true;
            _certificate = value;
        }
    }

    Task<X509Certificate2?> ITlsConnectionFeature.GetClientCertificateAsync(
        CancellationToken cancellationToken) =>
        Task.FromResult(((ITlsConnectionFeature)this).ClientCertificate);

    // ITlsHandshakeFeature

    private Handshake Tls => _handshake ??= new Handshake(
        Variable("SSL_PROTOCOL"), Variable("SSL_CIPHER"),
        Variable("SSL_CIPHER_USEKEYSIZE"), Variable("SSL_TLS_SNI"));

    SslProtocols ITlsHandshakeFeature.Protocol => Tls.Protocol;
    TlsCipherSuite? ITlsHandshakeFeature.NegotiatedCipherSuite => Tls.Suite;
    string ITlsHandshakeFeature.HostName => Tls.HostName;
    CipherAlgorithmType ITlsHandshakeFeature.CipherAlgorithm => Tls.Cipher;
    int ITlsHandshakeFeature.CipherStrength => Tls.Bits;
    HashAlgorithmType ITlsHandshakeFeature.HashAlgorithm => Tls.Hash;
    int ITlsHandshakeFeature.HashStrength => 0;
    ExchangeAlgorithmType ITlsHandshakeFeature.KeyExchangeAlgorithm => Tls.KeyExchange;
    int ITlsHandshakeFeature.KeyExchangeStrength => 0;
}
