// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// What httpd calls, and the exchanges. An exchange is used for one request after the
/// other, by a worker its own if it can be, and never freed. What the host calls the data
/// of a request is its exchange's number; one that comes too late finds another request
/// there, and does nothing.
/// </summary>
internal static unsafe class Calls
{
    private static readonly object s_growing = new();
    private static readonly ConcurrentStack<Exchange> s_idle = new();
    private static Exchange?[] s_all = new Exchange?[64];
    private static int s_count;
    private static AppCoreServer s_server = null!;
    private static Func<int, Exchange> s_create = null!;

    [ThreadStatic]
    private static Exchange? t_own;
    [ThreadStatic]
    private static bool t_isWorker;

    internal static ReadOnlySpan<Exchange?> All
    {
        get
        {
            // In this order: the array grows before the count.
            var count = Volatile.Read(ref s_count);

            return Volatile.Read(ref s_all).AsSpan(0, count);
        }
    }

    internal static void Open(AppCoreServer server, Func<int, Exchange> create)
    {
        s_server = server;
        s_create = create;
        Bridge.Ready(new ManagedCalls
        {
            Handle = &Handle,
            OnIo = &OnIo,
            OnDisconnect = &OnDisconnect,
            Quiesce = &Quiesce,
            Stop = &Stop,
        });
    }

    internal static void Recycle(Exchange exchange)
    {
        if (t_isWorker && t_own == null)
        {
            t_own = exchange;
            return;
        }
        exchange.Shrink();
        s_idle.Push(exchange);
    }

    internal static Exchange? Find(void* data) =>
        data == null ? null : Volatile.Read(ref s_all)[(nint)data - 1];

    private static Exchange Take()
    {
        if (t_own is { } own)
        {
            t_own = null;
            return own;
        }
        t_isWorker = true;
        return s_idle.TryPop(out var idle) ? idle : Create();
    }

    private static Exchange Create()
    {
        lock (s_growing)
        {
            var all = s_all;

            if (s_count == all.Length)
            {
                Array.Resize(ref all, 2 * s_count);
                Volatile.Write(ref s_all, all);
            }
            var exchange = s_create(s_count + 1);

            Volatile.Write(ref all[s_count], exchange);
            Volatile.Write(ref s_count, s_count + 1);
            return exchange;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Handle(ulong request, Info* info, void** data)
    {
        try
        {
            var exchange = Take();

            *data = (void*)exchange.Number;
            var result = exchange.Handle(request, info);

            Restore(Thread.CurrentThread);
            return result;
        }
        catch (Exception e)
        {
            s_server.LogFault(e);
            return Result.Failed;
        }
    }

    // As the pool does with its own: what an app says of its thread is not for the next
    // request, and a thread of httpd's must not keep the app from ending.
    private static void Restore(Thread worker)
    {
        if (!worker.IsBackground)
        {
            worker.IsBackground = true;
        }
        if (worker.Name != null)
        {
            worker.Name = null;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnIo(ulong request, void* data, uint events)
    {
        try
        {
            Find(data)?.Pump(request);
        }
        catch (Exception e)
        {
            s_server.LogFault(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    internal static void OnPosted(void* app, ulong request, void* data, int result)
    {
        try
        {
            var exchange = Find(data);

            if (result == Result.Ok)
            {
                exchange?.Pump(request, true);
            }
            else
            {
                exchange?.Lose(request);
            }
        }
        catch (Exception e)
        {
            s_server.LogFault(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    internal static void OnErrand(void* app, ulong request, void* data, int result)
    {
        var handle = GCHandle.FromIntPtr((nint)data);
        var errand = (Errand)handle.Target!;

        handle.Free();
        errand.Run(request, result);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnDisconnect(ulong request, void* data)
    {
        try
        {
            Find(data)?.Disconnect(request);
        }
        catch (Exception e)
        {
            s_server.LogFault(e);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Quiesce() => AskToStop();

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Stop(uint limit)
    {
        s_server.Release(TimeSpan.FromMilliseconds(limit));
        AskToStop();
    }

    // StopApplication() runs what the app registered, which may take its time.
    private static void AskToStop() =>
        ThreadPool.UnsafeQueueUserWorkItem(static _ => s_server.AskToStop(), null);
}
