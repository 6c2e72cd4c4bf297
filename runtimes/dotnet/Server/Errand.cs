// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

namespace AppCore.AspNetCore.Server;

/// <summary>Something rare that calls the host for a request, from any thread.</summary>
internal sealed unsafe class Errand(Func<ulong, int> action)
{
    private readonly TaskCompletionSource<int> _done =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The action's result, or GONE if it was not run.</summary>
    internal static Task<int> RunAsync(ulong request, Func<ulong, int> action)
    {
        var errand = new Errand(action);
        var handle = GCHandle.Alloc(errand);

        if (Bridge.Host->Post(request, &Calls.OnErrand, (void*)GCHandle.ToIntPtr(handle))
            != Result.Ok)
        {
            handle.Free();
            return Task.FromResult(Result.Gone);
        }
        return errand._done.Task;
    }

    internal void Run(ulong request, int result)
    {
        try
        {
            _done.SetResult(result == Result.Ok ? action(request) : Result.Gone);
        }
        catch (Exception e)
        {
            _done.SetException(e);
        }
    }
}
