dnl SPDX-License-Identifier: Apache-2.0
dnl Part of mod_appcore; see LICENSE.

dnl APPCORE_DOTNET
dnl Whether the companion for ASP.NET Core can be built, and for which .NET: the
dnl oldest from 8 on whose reference assemblies are installed, because a companion
dnl serves apps of its own version and newer ones. Nothing is fetched.
AC_DEFUN([APPCORE_DOTNET], [
AC_ARG_WITH([dotnet],
  [AS_HELP_STRING([--with-dotnet=PATH],
                  [dotnet of an SDK, to build the companion for ASP.NET Core [auto]])],
  [], [with_dotnet=auto])
DOTNET=
DOTNET_TARGET=
AS_CASE([$with_dotnet],
  [no], [],
  [yes|auto], [AC_PATH_PROG([DOTNET], [dotnet])],
  [DOTNET=$with_dotnet])
AS_IF([test -n "$DOTNET"], [
  AC_MSG_CHECKING([for the oldest .NET to build for])
  appcore_packs=`readlink -f "$DOTNET"`
  appcore_packs=`dirname "$appcore_packs"`
  AS_IF([test -d "$appcore_packs/sdk"], [
    appcore_packs=$appcore_packs/packs
    for appcore_n in 8 9 10 11 12; do
      AS_IF([test -z "$DOTNET_TARGET" &&
             ls -d "$appcore_packs/Microsoft.AspNetCore.App.Ref/$appcore_n".* \
                "$appcore_packs/Microsoft.NETCore.App.Ref/$appcore_n".* \
                >/dev/null 2>&1],
            [DOTNET_TARGET=net$appcore_n.0])
    done])
  AC_MSG_RESULT([${DOTNET_TARGET:-none}])])
AS_IF([test -z "$DOTNET_TARGET" && test "$with_dotnet" != no &&
       test "$with_dotnet" != auto],
      [AC_MSG_ERROR([--with-dotnet needs a .NET SDK of version 8 or newer])])
appcore_dotnet=no
AS_IF([test -n "$DOTNET_TARGET"], [appcore_dotnet="$DOTNET_TARGET ($DOTNET)"])
AM_CONDITIONAL([HAVE_DOTNET], [test -n "$DOTNET_TARGET"])
AC_SUBST([DOTNET])
AC_SUBST([DOTNET_TARGET])
])
