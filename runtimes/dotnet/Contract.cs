// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Globalization;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using AppCore.AspNetCore.Server;

namespace AppCore.AspNetCore;

/// <summary>
/// What mod_appcore said in the environment, taken before the app runs, and what it
/// is told in turn. Programs that the app starts find none of it.
/// </summary>
internal static class Contract
{
    private const string Hooks = "DOTNET_STARTUP_HOOKS";
    private const string Startups = "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES";
    private const string PairingToken = "ASPNETCORE_TOKEN";
    private const string ClearBodyLimit =
        "Microsoft.AspNetCore.Server.IISIntegration.ClearMaxRequestBodySize";
    private static readonly string Me = typeof(Contract).Assembly.GetName().Name!;
    private static string? s_notify;
    private static int s_claimed;

    internal static bool IsTaken { get; private set; }
    internal static int Port { get; private set; }
    internal static string? Token { get; private set; }
    internal static string Path { get; private set; } = "/";
    internal static bool WebSockets { get; private set; }
    internal static bool IsLogged { get; private set; }
    internal static int ShutdownSeconds { get; private set; }

    /// <summary>The app's folder as configured, and without links, as we are in it.
    /// </summary>
    internal static string Folder { get; private set; } = "";
    internal static string RealFolder { get; private set; } = "";

    internal static string Address => $"http://127.0.0.1:{Port}";

    /// <summary>Whether this is a child of httpd, or the process that the socket was
    /// made for.</summary>
    internal static bool Take()
    {
        if (IsTaken)
        {
            return true;
        }
        return IsTaken = Bridge.Attach() ? TakeInProcess() : TakeSocket();
    }

    private static bool TakeInProcess()
    {
        var startups = (Get(Startups) ?? "").Split(
            ';', StringSplitOptions.RemoveEmptyEntries);

        TakeCommon();
        // For the builders that announce nothing. No other process sees it.
        if (!startups.Contains(Me))
        {
            Environment.SetEnvironmentVariable(Startups,
                                               string.Join(';', startups.Append(Me)));
        }
        return true;
    }

    private static void TakeCommon()
    {
        WebSockets = Get("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED") != "false";
        IsLogged = Get("APPCORE_LOG") == "errorlog";
        RealFolder = Environment.CurrentDirectory;
        Folder = Get("ASPNETCORE_IIS_PHYSICAL_PATH")?.TrimEnd('/') ?? RealFolder;
        ShutdownSeconds = int.TryParse(Get("ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"),
                                       out var seconds) ? seconds : 0;
    }

    private static bool TakeSocket()
    {
        var isOurs = Get("LISTEN_FDS") == "1"
            && Get("LISTEN_PID") == Environment.ProcessId.ToString(
                CultureInfo.InvariantCulture);

        Restore(Hooks, ':', part => part != typeof(Contract).Assembly.Location);
        if (!isOurs || !int.TryParse(Get("ASPNETCORE_PORT"), out var port))
        {
            return false;
        }
        Port = port;
        Token = Get(PairingToken);
        Path = Get("ASPNETCORE_APPL_PATH") ?? "/";
        TakeCommon();
        s_notify = Get("NOTIFY_SOCKET");
        foreach (var name in new[] { "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET" })
        {
            Environment.SetEnvironmentVariable(name, null);
        }
        // As in IIS, where the limit of the server in front counts.
        if (!AppContext.TryGetSwitch(ClearBodyLimit, out _))
        {
            AppContext.SetSwitch(ClearBodyLimit, true);
        }
        return true;
    }

    /// <summary>The first host of the process that asks serves from the socket.</summary>
    internal static bool Claim() =>
        IsTaken && Interlocked.Exchange(ref s_claimed, 1) == 0;

    /// <summary>The app has read all of its configuration, and serves.</summary>
    internal static void Started()
    {
        Environment.SetEnvironmentVariable(PairingToken, null);
        ForgetStartup();
        Say("READY=1");
    }

    internal static void ForgetStartup() => Restore(Startups, ';', part => part != Me);

    internal static void Say(string what)
    {
        if (s_notify != null)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, 0);

            socket.SendTo(Encoding.ASCII.GetBytes(what),
                          new UnixDomainSocketEndPoint(s_notify));
        }
    }

    private static string? Get(string name) => Environment.GetEnvironmentVariable(name);

    private static void Restore(string name, char separator, Func<string, bool> keep)
    {
        var left = string.Join(separator, (Get(name) ?? "").Split(separator).Where(keep));

        // Since .NET 9 an empty value is one, too.
        Environment.SetEnvironmentVariable(name, left == "" ? null : left);
    }
}
