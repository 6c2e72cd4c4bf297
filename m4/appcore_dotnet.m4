dnl SPDX-License-Identifier: Apache-2.0
dnl Part of mod_appcore; see LICENSE.

dnl APPCORE_DOTNET
dnl Whether there is an SDK for the companion for ASP.NET Core, and the oldest .NET
dnl from 8 on whose reference assemblies are installed (DOTNET_OLDEST). A companion
dnl serves apps of its own version and newer ones, so runtimes/dotnet/build asks NuGet
dnl for those of 8, unless that is forbidden.
AC_DEFUN([APPCORE_DOTNET], [
AC_ARG_WITH([dotnet],
  [AS_HELP_STRING([--with-dotnet=PATH],
                  [dotnet of an SDK, to build the companion for ASP.NET Core [auto]])],
  [], [with_dotnet=auto])
AC_ARG_ENABLE([nuget],
  [AS_HELP_STRING([--disable-nuget],
                  [fetch nothing: build that companion with what is installed])],
  [], [enable_nuget=yes])
DOTNET=
DOTNET_OLDEST=
appcore_sdk=
AS_CASE([$with_dotnet],
  [no], [],
  [yes|auto], [AC_PATH_PROG([DOTNET], [dotnet])],
  [DOTNET=$with_dotnet])
AS_IF([test -n "$DOTNET"], [
  AC_MSG_CHECKING([for a .NET SDK])
  appcore_root=`readlink -f "$DOTNET"`
  appcore_root=`dirname "$appcore_root"`
  for appcore_n in 8 9 10 11 12; do
    AS_IF([ls -d "$appcore_root/sdk/$appcore_n".* >/dev/null 2>&1],
          [appcore_sdk=$appcore_n])
    AS_IF([test -z "$DOTNET_OLDEST" &&
           ls -d "$appcore_root/packs/Microsoft.AspNetCore.App.Ref/$appcore_n".* \
              "$appcore_root/packs/Microsoft.NETCore.App.Ref/$appcore_n".* \
              >/dev/null 2>&1],
          [DOTNET_OLDEST=net$appcore_n.0])
  done
  AC_MSG_RESULT([${appcore_sdk:-none}])])
AS_IF([test -z "$appcore_sdk" && test "$with_dotnet" != no &&
       test "$with_dotnet" != auto],
      [AC_MSG_ERROR([--with-dotnet needs a .NET SDK of version 8 or newer])])
appcore_dotnet=no
AS_IF([test -n "$appcore_sdk"], [appcore_dotnet="SDK $appcore_sdk ($DOTNET)"])
AM_CONDITIONAL([HAVE_DOTNET], [test -n "$appcore_sdk"])
DOTNET_FETCH=$enable_nuget
AS_IF([test "x$enable_maintainer_mode" != xyes], [DOTNET_OR_ELSE='|| :'])
AC_SUBST([DOTNET])
AC_SUBST([DOTNET_FETCH])
AC_SUBST([DOTNET_OR_ELSE])
AC_SUBST([DOTNET_OLDEST])
])
