dnl SPDX-License-Identifier: Apache-2.0
dnl Part of mod_appcore; see LICENSE.

dnl APPCORE_APXS
dnl Finds apxs and asks it where httpd's headers, modules and programs are.
dnl Of apxs' compiler flags only definitions are taken: optimisation and
dnl warnings are the choice of whoever builds this module.
AC_DEFUN([APPCORE_APXS], [
AC_ARG_WITH([apxs],
  [AS_HELP_STRING([--with-apxs=PATH], [apxs of the httpd to build for])],
  [APXS=$withval], [APXS=])
AS_CASE([$APXS],
  [yes|''], [AC_PATH_PROGS([APXS], [apxs apxs2], [],
                           [$PATH:/usr/local/apache2/bin:/usr/sbin])],
  [no], [AC_MSG_ERROR([apxs is needed: there is no build without httpd])])
AS_IF([test -z "$APXS"],
  [AC_MSG_ERROR([apxs not found; install apache2-dev (Debian) or httpd-devel
  (RHEL), or say --with-apxs=PATH])])
AS_IF([test ! -x "$APXS"], [AC_MSG_ERROR([$APXS is not a program])])

APXS_INCLUDEDIR=`$APXS -q INCLUDEDIR`
APXS_LIBEXECDIR=`$APXS -q LIBEXECDIR`
APXS_SYSCONFDIR=`$APXS -q SYSCONFDIR`
HTTPD=`$APXS -q SBINDIR`/`$APXS -q PROGNAME`
HTTPD_VERSION=`$APXS -q HTTPD_VERSION 2>/dev/null`
APR_CONFIG=`$APXS -q APR_CONFIG 2>/dev/null`
APU_CONFIG=`$APXS -q APU_CONFIG 2>/dev/null`
AS_IF([test ! -f "$APXS_INCLUDEDIR/httpd.h"],
  [AC_MSG_ERROR([httpd.h is not in $APXS_INCLUDEDIR])])
AS_IF([test ! -x "$APR_CONFIG"],
  [AC_PATH_PROGS([APR_CONFIG], [apr-1-config apr-config])])
AS_IF([test ! -x "$APR_CONFIG"], [AC_MSG_ERROR([apr-1-config not found])])

AS_IF([test ! -x "$APU_CONFIG"],
  [AC_PATH_PROGS([APU_CONFIG], [apu-1-config apu-config])])
AS_IF([test ! -x "$APU_CONFIG"], [AC_MSG_ERROR([apu-1-config not found])])

APR_CPPFLAGS=`$APR_CONFIG --cppflags --includes | tr '\n' ' '`
APR_CPPFLAGS="$APR_CPPFLAGS `$APU_CONFIG --includes`"
APR_LIBS=`$APR_CONFIG --link-ld --libs | tr '\n' ' '`
APR_LIBS="`$APU_CONFIG --link-ld` $APR_LIBS"
HTTPD_CPPFLAGS="-I$APXS_INCLUDEDIR"

appcore_save_CPPFLAGS=$CPPFLAGS
CPPFLAGS="$CPPFLAGS $APR_CPPFLAGS $HTTPD_CPPFLAGS"
AC_MSG_CHECKING([for httpd 2.4.57 or newer])
AC_PREPROC_IFELSE([AC_LANG_PROGRAM([[
#include <ap_release.h>
#if AP_SERVER_MAJORVERSION_NUMBER != 2 || AP_SERVER_MINORVERSION_NUMBER != 4 \
    || AP_SERVER_PATCHLEVEL_NUMBER < 57
#error
#endif]])], [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([httpd 2.4.57 or a newer 2.4 is needed])])
CPPFLAGS=$appcore_save_CPPFLAGS

AC_ARG_WITH([moddir],
  [AS_HELP_STRING([--with-moddir=DIR],
                  [where the module is installed [httpd's modules]])],
  [moddir=$withval], [moddir=$APXS_LIBEXECDIR])
AC_SUBST([APXS])
AC_SUBST([HTTPD])
AC_SUBST([HTTPD_VERSION])
AC_SUBST([APR_CPPFLAGS])
AC_SUBST([APR_LIBS])
AC_SUBST([HTTPD_CPPFLAGS])
AC_SUBST([moddir])
])
