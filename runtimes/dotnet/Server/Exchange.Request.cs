// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Net;
using System.Security.Claims;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// What the request and the response say. Everything of the host's is copied at the
/// beginning: nothing of it is looked at after the request ended. Most of it is what the
/// worker's last request said, too, and then costs a comparison.
/// </summary>
internal abstract unsafe partial class Exchange
{
    private const int KnownMax = 48;
    private const int IdMax = 64;

    private readonly Fields _requestFields = new();
    private readonly Fields _responseFields = new() { IsChecked = true };
    private readonly string?[] _lastNames = new string?[KnownMax];
    private readonly string?[] _lastValues = new string?[KnownMax];
    private string? _lastMethod, _lastProtocol, _lastScheme, _lastTarget, _lastPathBase,
                    _lastPath, _lastQuery, _lastRemote, _lastLocal;
    private readonly byte[] _requestId = new byte[IdMax], _connectionId = new byte[IdMax];
    private int _requestIdLength, _connectionIdLength;
    private InfoFlags _flags;
    private bool _isHead, _isHttp1;
    private string _remote = "", _local = "";
    private string? _connectProtocol;
    private IHeaderDictionary _requestHeaders = null!, _responseHeaders = null!;
    private IHeaderDictionary? _responseTrailers;
    private int _status;
    private string? _reasonPhrase;
    private bool _isUpgraded;
    private CancellationTokenSource? _abortSource;
    private CancellationToken? _abortToken;
    private IPAddress? _remoteAddress, _localAddress;
    private bool _hasRemoteAddress, _hasLocalAddress;
    private string? _traceIdentifier, _connectionIdentifier;

    private bool HasTrailers => _responseTrailers is { Count: > 0 };

    private void BeginRequest(Info* info)
    {
        _flags = info->Flags;
        Method = Characters.Decode(ref _lastMethod, info->Method);
        Protocol = Characters.Decode(ref _lastProtocol, info->Protocol);
        // Both may be changed by middleware.
        _isHead = Method == "HEAD";
        _isHttp1 = Protocol is "HTTP/1.1" or "HTTP/1.0";
        if (!_isHttp1 && Protocol == "HTTP/2.0")
        {
            // As httpd calls what is HTTP/2 to apps, and to HttpProtocol.IsHttp2().
            Protocol = "HTTP/2";
        }
        Scheme = Characters.Decode(ref _lastScheme, info->Scheme);
        RawTarget = Characters.Decode(ref _lastTarget, info->Target);
        PathBase = Characters.DecodePath(ref _lastPathBase, info->PathBase);
        Path = Characters.DecodePath(ref _lastPath, info->Path);
        QueryString = Characters.DecodeQuery(ref _lastQuery, info->Query);
        _remote = Characters.Decode(ref _lastRemote, info->RemoteAddress);
        _local = Characters.Decode(ref _lastLocal, info->LocalAddress);
        RemotePort = info->RemotePort;
        LocalPort = info->LocalPort;
        _requestIdLength = Copy(info->RequestId, _requestId);
        _connectionIdLength = Copy(info->ConnectionId, _connectionId);
        ReceiveFields(info);
        BeginFeatures();
        if ((_flags & InfoFlags.Connect) != 0)
        {
            _connectProtocol = info->ConnectProtocol.ToString();
        }
    }

    private void ReceiveFields(Info* info)
    {
        var count = (int)info->FieldCount;

        for (var i = 0; i < count; i++)
        {
            ref var field = ref info->Fields[i];

            if (i < KnownMax)
            {
                _requestFields.Receive(
                    Characters.DecodeName(ref _lastNames[i], field.Name),
                    Characters.DecodeValue(ref _lastValues[i], field.Value));
            }
            else
            {
                string? name = null, value = null;

                _requestFields.Receive(Characters.DecodeName(ref name, field.Name),
                                       Characters.DecodeValue(ref value, field.Value));
            }
        }
    }

    private void BeginFeatures()
    {
        _requestHeaders = _requestFields;
        _responseHeaders = _responseFields;
        _status = StatusCodes.Status200OK;
        _hasRemoteAddress = _hasLocalAddress = false;
        _isUpgraded = false;
        AllowSynchronousIO = Server.AllowSynchronousIO;
        _revision++;
    }

    // Also lets go of what the app left here.
    private void EndRequest()
    {
        _requestFields.Reset();
        _responseFields.Reset();
        _requestHeaders = _requestFields;
        _responseHeaders = _responseFields;
        _responseTrailers = null;
        _reasonPhrase = null;
        _connectProtocol = null;
        _onStarting = _onCompleted = null;
        _abortSource = null;
        _abortToken = null;
        _abortReason = _failure = null;
        _traceIdentifier = _connectionIdentifier = null;
        _user = _sentUser = null;
        _requestBody = null;
        _responseBody = null;
        _replacedBody = null;
        _writer = null;
        _certificate = null;
        _hasCertificate = false;
        _handshake = null;
        _requestClose = null;
        Array.Clear(_features, 0, _featureCount);
        _featureCount = 0;
    }

    private static int Copy(Str from, byte[] to)
    {
        var span = from.Span;

        if (span.Length > to.Length)
        {
            span = span[..to.Length];
        }
        span.CopyTo(to);
        return span.Length;
    }

    private static IPAddress? Parse(string text) =>
        IPAddress.TryParse(text, out var address) ? address : null;

    private void FreezeHeaders()
    {
        if (_responseHeaders is Fields own)
        {
            own.IsReadOnly = true;
        }
    }

    // With _gate held, or by the pump.
    private void AddLength(long bytes)
    {
        if (_responseHeaders is Fields own)
        {
            own.AddLate("Content-Length", bytes.ToString());
        }
        else
        {
            _responseHeaders.ContentLength = bytes;
        }
    }

    private void ReplaceResponse(int status)
    {
        _responseFields.Reset();
        _responseHeaders = _responseFields;
        _responseFields.IsReadOnly = true;
        _status = status;
        _reasonPhrase = null;
    }

    private void ThrowIfStarted(string what)
    {
        if (_hasStarted)
        {
            throw new InvalidOperationException(
                $"{what} cannot be set because the response has already started.");
        }
    }

    /// <summary>Calls the host for this request: at once where that may be.</summary>
    private Task<int> CallAsync(Func<ulong, int> action)
    {
        var request = _request;

        if (request == 0)
        {
            return Task.FromResult(Result.Gone);
        }
        return IsInline ? Task.FromResult(action(request))
                        : Errand.RunAsync(request, action);
    }

    private int Call(Func<ulong, int> action) =>
        CallAsync(action).GetAwaiter().GetResult();
}
