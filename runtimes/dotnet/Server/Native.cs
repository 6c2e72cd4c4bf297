// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Text;

namespace AppCore.AspNetCore.Server;

#pragma warning disable CS0649 // The other side fills them in.

// include/appcore.h and native/bridge.h, member by member: see there.

internal unsafe struct Str
{
    internal byte* P;
    internal nuint Length;

    internal Str(byte* p, int length)
    {
        P = p;
        Length = (nuint)length;
    }

    internal readonly ReadOnlySpan<byte> Span => new(P, checked((int)Length));

    public override readonly string ToString() => Encoding.UTF8.GetString(Span);
}

internal struct Field
{
    internal Str Name, Value;
}

internal unsafe struct IoVector
{
    internal byte* Base;
    internal nuint Length;
}

[Flags]
internal enum InfoFlags : uint
{
    HasBody = 1,
    Upgradable = 2,
    UpgradeAsked = 4,
    Connect = 8,
    Tls = 0x10,
    Trailers = 0x20,
}

internal unsafe struct Info
{
    internal nuint Size;
    internal InfoFlags Flags;
    internal ushort RemotePort, LocalPort;
    internal long ContentLength;
    internal Str Method, Protocol, Scheme, Authority;
    internal Str Target, PathBase, Path, Query;
    internal Str RemoteAddress, LocalAddress;
    internal Str RequestId, ConnectionId;
    internal Str User, AuthType;
    internal Str ConnectProtocol;
    internal Field* Fields;
    internal nuint FieldCount;
}

internal static class Result
{
    internal const int Ok = 0, Again = -1, Gone = -2, Elsewhere = -3, Invalid = -4,
                       TooLarge = -5, Malformed = -6, Timeout = -7, Unsupported = -8,
                       Failed = -9;
    internal const int Done = 0, Pending = 1;
}

internal static class Io
{
    internal const uint NonBlock = 1, Flush = 2, Last = 4;
}

internal unsafe struct Host
{
    internal nuint Size;
    internal uint Version;
    internal delegate* unmanaged[Cdecl]<ulong, int, Str, Field*, nuint, int> Start;
    internal delegate* unmanaged[Cdecl]<ulong, int, Str, Field*, nuint, IoVector*, nuint,
                                        int> Respond;
    internal delegate* unmanaged[Cdecl]<ulong, int, Field*, nuint, int> Inform;
    internal delegate* unmanaged[Cdecl]<ulong, IoVector*, nuint, uint, long> Write;
    internal delegate* unmanaged[Cdecl]<ulong, Str, long, long, uint, int> SendFile;
    internal delegate* unmanaged[Cdecl]<ulong, Str, Str, int> Trailer;
    internal delegate* unmanaged[Cdecl]<ulong, byte*, nuint, uint, long> Read;
    internal delegate* unmanaged[Cdecl]<ulong, Field*, nuint, int> Upgrade;
    internal delegate* unmanaged[Cdecl]<ulong,
        delegate* unmanaged[Cdecl]<void*, ulong, void*, int, void>, void*, int> Post;
    internal delegate* unmanaged[Cdecl]<ulong, int, int> Complete;
    internal delegate* unmanaged[Cdecl]<ulong, int> Aborted;
    internal delegate* unmanaged[Cdecl]<ulong, int> Abort;
    internal delegate* unmanaged[Cdecl]<ulong, Str, Str*, int> GetVariable;
    internal delegate* unmanaged[Cdecl]<ulong, Str, Str, int> SetVariable;
    internal delegate* unmanaged[Cdecl]<ulong, long, int> LimitBody;
    internal delegate* unmanaged[Cdecl]<ulong, int> CloseConnection;
    internal delegate* unmanaged[Cdecl]<Host*, ulong, int, Str, void> Log;
    internal delegate* unmanaged[Cdecl]<Host*, ulong, int> LogLevel;
    internal delegate* unmanaged[Cdecl]<Host*, void*, void> Started;
    internal delegate* unmanaged[Cdecl]<Host*, int, Str, void> Ended;
    internal delegate* unmanaged[Cdecl]<ulong, uint, int> Reset;
}

internal unsafe struct Config
{
    internal nuint Size;
    internal uint Version, Flags;
    internal Str Name, Folder, File, PathBase;
    internal Field* Environment;
    internal nuint EnvironmentCount;
    internal Field* Settings;
    internal nuint SettingCount;
    internal Str* Arguments;
    internal nuint ArgumentCount;
    internal Str* Addresses;
    internal nuint AddressCount;
    internal uint Workers, Processes, StartupMs, ShutdownMs;
}

internal unsafe struct ManagedCalls
{
    internal nuint Size;
    internal delegate* unmanaged[Cdecl]<ulong, Info*, void**, int> Handle;
    internal delegate* unmanaged[Cdecl]<ulong, void*, uint, void> OnIo;
    internal delegate* unmanaged[Cdecl]<ulong, void*, void> OnDisconnect;
    internal delegate* unmanaged[Cdecl]<void> Quiesce;
    internal delegate* unmanaged[Cdecl]<uint, void> Stop;
}

internal unsafe struct NativeBridge
{
    internal nuint Size;
    internal uint Version;
    internal Host* Host;
    internal Config* Config;
    internal delegate* unmanaged[Cdecl]<ManagedCalls*, void> Ready;
    internal delegate* unmanaged[Cdecl]<Str, Str, void> Failed;
    internal delegate* unmanaged[Cdecl]<void> Stopped;
    internal delegate* unmanaged[Cdecl]<void> Hooked;
    internal delegate* unmanaged[Cdecl]<void> Stopping;
    internal delegate* unmanaged[Cdecl]<Str, Str, void> Crashed;
}
