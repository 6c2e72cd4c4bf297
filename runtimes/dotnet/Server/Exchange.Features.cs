// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// The features of ASP.NET Core, those that IIS has: the exchange is all of them itself.
/// </summary>
internal abstract partial class Exchange :
    IFeatureCollection, IHttpRequestFeature, IHttpResponseFeature,
    IHttpResponseBodyFeature, IHttpRequestBodyDetectionFeature, IHttpConnectionFeature,
    IHttpRequestLifetimeFeature, IHttpRequestIdentifierFeature, IHttpBodyControlFeature,
    IHttpMaxRequestBodySizeFeature, IHttpUpgradeFeature, IHttpExtendedConnectFeature,
    IHttpResponseTrailersFeature, IHttpResetFeature, IHttpAuthenticationFeature,
    ITlsConnectionFeature, ITlsHandshakeFeature, IServerVariablesFeature,
    IConnectionLifetimeNotificationFeature
{
    private KeyValuePair<Type, object?>[] _features = new KeyValuePair<Type, object?>[8];
    private int _featureCount;
    private int _revision;
    private BodyStream? _requestBody, _responseBody;
    private ResponseWriter? _writer;
    private CancellationTokenSource? _requestClose;

    bool IFeatureCollection.IsReadOnly => false;

    int IFeatureCollection.Revision => _revision;

    object? IFeatureCollection.this[Type key]
    {
        get => Feature(key);
        set => SetFeature(key, value);
    }

    TFeature? IFeatureCollection.Get<TFeature>() where TFeature : default =>
        (TFeature?)Feature(typeof(TFeature));

    void IFeatureCollection.Set<TFeature>(TFeature? instance) where TFeature : default =>
        SetFeature(typeof(TFeature), instance);

    private object? Feature(Type key)
    {
        for (var i = 0; i < _featureCount; i++)
        {
            if (_features[i].Key == key)
            {
                return _features[i].Value;
            }
        }
        return IsOwn(key) ? this : null;
    }

    // What middleware puts in place of ours is found before ours.
    private void SetFeature(Type key, object? value)
    {
        _revision++;
        for (var i = 0; i < _featureCount; i++)
        {
            if (_features[i].Key == key)
            {
                _features[i] = new(key, value);
                return;
            }
        }
        if (_featureCount == _features.Length)
        {
            Array.Resize(ref _features, 2 * _featureCount);
        }
        _features[_featureCount++] = new(key, value);
    }

    private bool IsOwn(Type key)
    {
        if (key == typeof(IHttpRequestFeature) || key == typeof(IHttpResponseFeature)
            || key == typeof(IHttpResponseBodyFeature)
            || key == typeof(IHttpRequestLifetimeFeature)
            || key == typeof(IHttpRequestBodyDetectionFeature)
            || key == typeof(IHttpConnectionFeature)
            || key == typeof(IHttpRequestIdentifierFeature)
            || key == typeof(IHttpBodyControlFeature)
            || key == typeof(IHttpMaxRequestBodySizeFeature)
            || key == typeof(IHttpAuthenticationFeature)
            || key == typeof(IServerVariablesFeature)
            || key == typeof(IConnectionLifetimeNotificationFeature))
        {
            return true;
        }
        if (key == typeof(IHttpUpgradeFeature))
        {
            // Also where the client asked for none: SignalR offers WebSockets by it.
            return _isHttp1 && Contract.WebSockets;
        }
        if (key == typeof(ITlsConnectionFeature) || key == typeof(ITlsHandshakeFeature))
        {
            return (_flags & InfoFlags.Tls) != 0;
        }
        if (key == typeof(IHttpResponseTrailersFeature))
        {
            return (_flags & InfoFlags.Trailers) != 0;
        }
        if (key == typeof(Exchange))
        {
            return true;
        }
        return (key == typeof(IHttpResetFeature)
                || key == typeof(IHttpExtendedConnectFeature)) && !_isHttp1;
    }

    public IEnumerator<KeyValuePair<Type, object>> GetEnumerator()
    {
        foreach (var type in typeof(Exchange).GetInterfaces())
        {
            if (IsOwn(type) && Feature(type) is { } value)
            {
                yield return new(type, value);
            }
        }
        for (var i = 0; i < _featureCount; i++)
        {
            if (!IsOwn(_features[i].Key) && _features[i].Value is { } value)
            {
                yield return new(_features[i].Key, value);
            }
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    // IHttpRequestFeature

    public string Protocol { get; set; } = "";
    public string Scheme { get; set; } = "";
    public string Method { get; set; } = "";
    public string PathBase { get; set; } = "";
    public string Path { get; set; } = "";
    public string QueryString { get; set; } = "";
    public string RawTarget { get; set; } = "";

    IHeaderDictionary IHttpRequestFeature.Headers
    {
        get => _requestHeaders;
        set => _requestHeaders = value;
    }

    private Stream? _replacedBody;

    Stream IHttpRequestFeature.Body
    {
        get => _replacedBody
            ?? (_requestBody ??= new BodyStream(this, _generation, FileAccess.Read));
        set => _replacedBody = value;
    }

    // IHttpRequestBodyDetectionFeature

    bool IHttpRequestBodyDetectionFeature.CanHaveBody =>
        (_flags & InfoFlags.HasBody) != 0;

    // IHttpResponseFeature

    public int StatusCode
    {
        get => _status;
        set
        {
            ThrowIfStarted("StatusCode");
            _status = value;
        }
    }

    string? IHttpResponseFeature.ReasonPhrase
    {
        get => _reasonPhrase;
        set
        {
            ThrowIfStarted("ReasonPhrase");
            Characters.CheckValue(value);
            _reasonPhrase = value;
        }
    }

    IHeaderDictionary IHttpResponseFeature.Headers
    {
        get => _responseHeaders;
        set => _responseHeaders = value;
    }

    bool IHttpResponseFeature.HasStarted => _hasStarted;

    Stream IHttpResponseFeature.Body
    {
        get => ((IHttpResponseBodyFeature)this).Stream;
        set => SetFeature(typeof(IHttpResponseBodyFeature), new StreamResponseBodyFeature(
            value, (IHttpResponseBodyFeature)Feature(typeof(IHttpResponseBodyFeature))!));
    }

    void IHttpResponseFeature.OnStarting(Func<object, Task> callback, object state)
    {
        ThrowIfStarted("OnStarting");
        (_onStarting ??= []).Add((callback, state));
    }

    void IHttpResponseFeature.OnCompleted(Func<object, Task> callback, object state) =>
        (_onCompleted ??= []).Add((callback, state));

    // IHttpResponseBodyFeature

    Stream IHttpResponseBodyFeature.Stream =>
        _responseBody ??= new BodyStream(this, _generation, FileAccess.Write);

    PipeWriter IHttpResponseBodyFeature.Writer =>
        _writer ??= new ResponseWriter(this, _generation);

    void IHttpResponseBodyFeature.DisableBuffering() => Variable("no-gzip", "1");

    Task IHttpResponseBodyFeature.StartAsync(CancellationToken cancel) =>
        cancel.IsCancellationRequested ? Task.FromCanceled(cancel) : StartAsync();

    Task IHttpResponseBodyFeature.SendFileAsync(
        string path, long offset, long? count, CancellationToken cancel) =>
        SendFileAsync(path, offset, count, cancel);

    Task IHttpResponseBodyFeature.CompleteAsync() => CompleteResponseAsync();

    // IHttpConnectionFeature, IHttpRequestIdentifierFeature

    public string ConnectionId
    {
        get => _connectionIdentifier ??=
            Encoding.ASCII.GetString(_connectionId, 0, _connectionIdLength);
        set => _connectionIdentifier = value;
    }

    public string TraceIdentifier
    {
        get => _traceIdentifier ??=
            Encoding.ASCII.GetString(_requestId, 0, _requestIdLength);
        set => _traceIdentifier = value;
    }

    public IPAddress? RemoteIpAddress
    {
        get => _hasRemoteAddress ? _remoteAddress : RemoteIpAddress = Parse(_remote);
        set
        {
            _hasRemoteAddress = true;
            _remoteAddress = value;
        }
    }

    public IPAddress? LocalIpAddress
    {
        get => _hasLocalAddress ? _localAddress : LocalIpAddress = Parse(_local);
        set
        {
            _hasLocalAddress = true;
            _localAddress = value;
        }
    }

    public int RemotePort { get; set; }
    public int LocalPort { get; set; }

    // IHttpRequestLifetimeFeature

    public CancellationToken RequestAborted
    {
        get
        {
            if (_abortToken is { } token)
            {
                return token;
            }
            lock (_gate)
            {
                if (_abortSource == null)
                {
                    _abortSource = new();
                    if (_isAborted)
                    {
                        _abortSource.Cancel();
                    }
                }
                return (_abortToken = _abortSource.Token).Value;
            }
        }
        set => _abortToken = value;
    }

    void IHttpRequestLifetimeFeature.Abort() => Abort(_request,
        new IOException("The connection was aborted by the application."));

    // IHttpBodyControlFeature, IHttpMaxRequestBodySizeFeature

    public bool AllowSynchronousIO { get; set; }

    bool IHttpMaxRequestBodySizeFeature.IsReadOnly => _hasRead || _isUpgraded;

    long? IHttpMaxRequestBodySizeFeature.MaxRequestBodySize
    {
        get => _bodyLimit;
        set
        {
            if (_hasRead || _isUpgraded)
            {
                throw new InvalidOperationException("The maximum request body size "
                    + "cannot be modified after the app has already started reading from "
                    + "the request body.");
            }
            ArgumentOutOfRangeException.ThrowIfNegative(value ?? 0, nameof(value));
            _bodyLimit = value;
        }
    }

    // IHttpUpgradeFeature, IHttpExtendedConnectFeature

    bool IHttpUpgradeFeature.IsUpgradableRequest =>
        (_flags & (InfoFlags.Upgradable | InfoFlags.UpgradeAsked | InfoFlags.HasBody))
            == (InfoFlags.Upgradable | InfoFlags.UpgradeAsked);

    async Task<Stream> IHttpUpgradeFeature.UpgradeAsync()
    {
        if (!((IHttpUpgradeFeature)this).IsUpgradableRequest)
        {
            throw new InvalidOperationException("Cannot upgrade a non-upgradable request."
                + " Check IHttpUpgradeFeature.IsUpgradableRequest to determine if a "
                + "request can be upgraded.");
        }
        return await UpgradeAsync(StatusCodes.Status101SwitchingProtocols);
    }

    bool IHttpExtendedConnectFeature.IsExtendedConnect =>
        (_flags & InfoFlags.Connect) != 0;

    string? IHttpExtendedConnectFeature.Protocol => _connectProtocol;

    async ValueTask<Stream> IHttpExtendedConnectFeature.AcceptAsync()
    {
        if ((_flags & InfoFlags.Connect) == 0)
        {
            throw new InvalidOperationException(
                "This is no extended CONNECT request.");
        }
        return await UpgradeAsync(StatusCodes.Status200OK);
    }

    private async Task<Stream> UpgradeAsync(int status)
    {
        if (_isUpgraded || _hasStarted)
        {
            throw new InvalidOperationException(
                "IHttpUpgradeFeature.UpgradeAsync was already called and can only be "
                + "called once per connection.");
        }
        StatusCode = status;
        await StartAsync();
        var result = await CallAsync(UpgradeNative);

        if (result != Result.Ok)
        {
            throw new IOException($"The connection cannot be upgraded ({result}).");
        }
        return new BodyStream(this, _generation, FileAccess.ReadWrite);
    }

    private unsafe int UpgradeNative(ulong request)
    {
        var count = Outgoing.Pack(_responseHeaders, true, out var fields);
        var result = Bridge.Host->Upgrade(request, fields, count);

        if (result == Result.Ok)
        {
            _isUpgraded = _isSaid = true;
            _isBodyRead = false;
        }
        return result;
    }

    // IHttpResponseTrailersFeature, IHttpResetFeature

    IHeaderDictionary IHttpResponseTrailersFeature.Trailers
    {
        get => _responseTrailers ??= new Fields { IsChecked = true };
        set => _responseTrailers = value;
    }

    void IHttpResetFeature.Reset(int errorCode) => Abort(_request,
        new IOException($"The stream was reset by the application ({errorCode})."),
        errorCode);

    // IServerVariablesFeature

    string? IServerVariablesFeature.this[string variableName]
    {
        get
        {
            ArgumentException.ThrowIfNullOrEmpty(variableName);
            return Variable(variableName);
        }
        set
        {
            ArgumentException.ThrowIfNullOrEmpty(variableName);
            Variable(variableName, value);
        }
    }

    private unsafe string? Variable(string name)
    {
        string? value = null;

        Call(request =>
        {
            var bytes = Encoding.UTF8.GetBytes(name);
            Str found;

            fixed (byte* p = bytes)
            {
                var result = Bridge.Host->GetVariable(request, new(p, bytes.Length),
                                                      &found);

                value = result == Result.Ok ? found.ToString() : null;
                return result;
            }
        });
        return value;
    }

    private unsafe void Variable(string name, string? value) => Call(request =>
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        var more = Encoding.UTF8.GetBytes((value ?? "") + "\0");

        fixed (byte* p = bytes, q = more)
        {
            return Bridge.Host->SetVariable(
                request, new(p, bytes.Length),
                value == null ? default : new(q, more.Length - 1));
        }
    });

    // IConnectionLifetimeNotificationFeature

    CancellationToken IConnectionLifetimeNotificationFeature.ConnectionClosedRequested
    {
        get => (_requestClose ??= new()).Token;
        set => throw new NotSupportedException();
    }

    unsafe void IConnectionLifetimeNotificationFeature.RequestClose()
    {
        Call(request => Bridge.Host->CloseConnection(request));
        _requestClose?.Cancel();
    }
}
