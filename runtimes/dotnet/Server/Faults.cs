// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

using System;

namespace AppCore.AspNetCore.Server;

/// <summary>
/// An app that throws before it serves would take its httpd child down, and the next one:
/// its exception is to be on the page that says why there is no app instead.
/// </summary>
internal static class Faults
{
    internal static void Watch()
    {
        if (Bridge.IsThere)
        {
            AppDomain.CurrentDomain.UnhandledException += OnUnhandled;
            Bridge.Hooked();
        }
    }

    private static void OnUnhandled(object sender, UnhandledExceptionEventArgs happened)
    {
        var text = happened.ExceptionObject.ToString() ?? "";
        var what = (happened.ExceptionObject as Exception)?.Message ?? text;

        Bridge.Crashed($"The app threw an exception: {what}", text);
    }
}
