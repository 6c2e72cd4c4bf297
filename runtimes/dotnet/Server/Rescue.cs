// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System.Threading;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// The clock for exchanges whose delegate blocks the worker while it waits for the client
/// or has something for it. It runs only while there may be one, on a thread of its own:
/// it has to come when all of the pool's are blocked as well, and each tick of a timer
/// would leave a thread of the pool spinning for more work.
/// </summary>
internal static class Rescue
{
    private const int PeriodMs = 25;
    private const int IdleTicks = 40;
    private const int StackSize = 256 * 1024;
    private static readonly SemaphoreSlim s_wanted = new(0);
    private static int s_isOn;

    static Rescue() => new Thread(Run, StackSize)
    {
        IsBackground = true,
        Name = "appcore-rescue",
    }.UnsafeStart();

    internal static void Watch()
    {
        if (Volatile.Read(ref s_isOn) == 0 && Interlocked.Exchange(ref s_isOn, 1) == 0)
        {
            s_wanted.Release();
        }
    }

    private static void Run()
    {
        for (;;)
        {
            s_wanted.Wait();
            for (var idle = 0; idle < IdleTicks; idle++)
            {
                Thread.Sleep(PeriodMs);
                idle = Look() ? -1 : idle;
            }
            Interlocked.Exchange(ref s_isOn, 0);
            // Who came in between saw that the clock was on.
            if (Look())
            {
                Watch();
            }
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
