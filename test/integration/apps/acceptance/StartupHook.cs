// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// A start-up hook of the user's, found by the runtime by its name alone.
internal static class StartupHook
{
    internal static bool Ran;

    public static void Initialize() => Ran = true;
}
