// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using AppCore.AspNetCore;
using AppCore.AspNetCore.Server;

/// <summary>
/// What the runtime calls before Main, by DOTNET_STARTUP_HOOKS, or the property of that
/// name in a child of httpd. The name is the
/// runtime's choice. Nothing in here mentions a type of ASP.NET Core: the program may
/// have none. Whatever goes wrong is said on standard error and harms nobody; the app
/// then listens to the port that it was given as well.
/// </summary>
internal static class StartupHook
{
    public static void Initialize()
    {
        Safely(() =>
        {
            if (Contract.Take())
            {
                Faults.Watch();
                DiagnosticListener.AllListeners.Subscribe(new Listeners());
            }
        });
    }

    internal static void Safely(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            Console.Error.WriteLine($"AppCore.AspNetCore is of no use here: {e.Message}");
        }
    }

    // Every host but that of WebHostBuilder announces here that it is being built.
    private sealed class Listeners : IObserver<DiagnosticListener>,
                                     IObserver<KeyValuePair<string, object?>>
    {
        public void OnNext(DiagnosticListener listener)
        {
            if (listener.Name == "Microsoft.Extensions.Hosting")
            {
                listener.Subscribe(this);
            }
        }

        public void OnNext(KeyValuePair<string, object?> happened)
        {
            if (happened is { Key: "HostBuilding", Value: { } builder })
            {
                Safely(() => Extend(builder));
            }
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }

        // Types of the hosting assemblies are looked up when this is compiled, which
        // must be inside of Safely().
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Extend(object builder) => Hosting.Extend(builder);
    }
}
