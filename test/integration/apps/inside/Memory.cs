// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// What the collector holds once it has collected all that it can.
#nullable enable
using System.Diagnostics.Tracing;

/// The number of handles is told nowhere but in the collector's events, which come
/// somewhat later than its work is done.
internal sealed class Memory : EventListener
{
    private const int Collections = 1;      // keyword GC
    private static readonly Lazy<Memory> one = new(() => new Memory());
    private readonly SemaphoreSlim told = new(0);
    private volatile uint handles;

    public static async Task<object> Measure()
    {
        var memory = one.Value;

        for (var i = 0; i < 2; i++)
        {
            GC.Collect(2, GCCollectionMode.Aggressive, true, true);
            GC.WaitForPendingFinalizers();
        }
        var managed = GC.GetTotalMemory(true) / 1024;

        while (memory.told.Wait(0)) { }
        GC.Collect();
        await memory.told.WaitAsync(TimeSpan.FromSeconds(10));
        return new { managed, memory.handles };
    }

    protected override void OnEventSourceCreated(EventSource source)
    {
        if (source.Name == "Microsoft-Windows-DotNETRuntime")
        {
            EnableEvents(source, EventLevel.Informational, (EventKeywords)Collections);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs e)
    {
        var at = e.PayloadNames?.IndexOf("GCHandleCount") ?? -1;

        if (at >= 0)
        {
            handles = (uint)e.Payload![at]!;
            told.Release();
        }
    }
}
