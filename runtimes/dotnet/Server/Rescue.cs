// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System.Threading;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// The clock for exchanges whose delegate blocks the worker while it waits for the client
/// or has something for it. It runs only while there may be one.
/// </summary>
internal static class Rescue
{
    private const int PeriodMs = 25;
    private const int IdleTicks = 40;
    private static readonly Timer s_timer = new(Tick);
    private static int s_isOn;
    private static int s_idle;

    internal static void Watch()
    {
        if (Volatile.Read(ref s_isOn) == 0 && Interlocked.Exchange(ref s_isOn, 1) == 0)
        {
            s_timer.Change(PeriodMs, Timeout.Infinite);
        }
    }

    private static void Tick(object? _)
    {
        s_idle = Look() ? 0 : s_idle + 1;
        if (s_idle < IdleTicks)
        {
            s_timer.Change(PeriodMs, Timeout.Infinite);
            return;
        }
        s_idle = 0;
        Interlocked.Exchange(ref s_isOn, 0);
        // Who came in between saw that the clock was on.
        if (Look())
        {
            Watch();
        }
    }

    private static bool Look()
    {
        var isNeeded = false;

        foreach (var exchange in Calls.All)
        {
            isNeeded |= exchange!.Help();
        }
        return isNeeded;
    }
}
