// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// What appcore-dotnet.so left for us, if this process is a child of httpd. The pointers
/// live as long as the process. Nothing in here mentions a type of ASP.NET Core.
/// </summary>
internal static unsafe class Bridge
{
    private const string Property = "APPCORE_NATIVE";
    private const uint Version = 1;
    private static NativeBridge* s_bridge;

    internal static bool IsThere => s_bridge != null;

    internal static Host* Host { get; private set; }

    internal static bool Attach()
    {
        if (s_bridge == null && AppContext.GetData(Property) is string address
            && ulong.TryParse(address.AsSpan(address.StartsWith("0x") ? 2 : 0),
                              NumberStyles.HexNumber, null, out var value))
        {
            var bridge = (NativeBridge*)value;

            if (bridge->Version != Version || bridge->Size < (nuint)sizeof(NativeBridge)
                || bridge->Host->Size < (nuint)sizeof(Host))
            {
                throw new InvalidOperationException(
                    "AppCore.AspNetCore.dll and appcore-dotnet.so differ in version");
            }
            s_bridge = bridge;
            Host = bridge->Host;
        }
        return s_bridge != null;
    }

    internal static void Ready(ManagedCalls calls)
    {
        calls.Size = (nuint)sizeof(ManagedCalls);
        s_bridge->Ready(&calls);
    }

    internal static void Stopped() => s_bridge->Stopped();

    internal static void Hooked() => s_bridge->Hooked();

    internal static void Stopping() => s_bridge->Stopping();

    internal static void Failed(string what, string evidence) =>
        Say(s_bridge->Failed, what, evidence);

    /// <summary>Returns only where the process is to end.</summary>
    internal static void Crashed(string what, string evidence) =>
        Say(s_bridge->Crashed, what, evidence);

    private static void Say(delegate* unmanaged[Cdecl]<Str, Str, void> to, string what,
                            string evidence)
    {
        var first = Encoding.UTF8.GetBytes(what + "\0");
        var second = Encoding.UTF8.GetBytes(evidence + "\0");

        fixed (byte* p = first, q = second)
        {
            to(new(p, first.Length - 1), new(q, second.Length - 1));
        }
    }

    /// <summary>The URLs of the app.</summary>
    internal static List<string> Addresses()
    {
        var config = s_bridge->Config;
        var list = new List<string>();

        for (nuint i = 0; i < config->AddressCount; i++)
        {
            list.Add(config->Addresses[i].ToString());
        }
        return list;
    }
}
