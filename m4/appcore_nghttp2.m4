dnl SPDX-License-Identifier: Apache-2.0
dnl Part of mod_appcore; see LICENSE.

dnl APPCORE_NGHTTP2
dnl HTTP/2 to apps. The library is there wherever httpd's mod_http2 is.
AC_DEFUN([APPCORE_NGHTTP2], [
AC_ARG_WITH([nghttp2],
  [AS_HELP_STRING([--without-nghttp2], [no HTTP/2 to apps, and no libnghttp2])],
  [], [with_nghttp2=yes])
appcore_nghttp2=no
AS_IF([test "x$with_nghttp2" != xno],
  [PKG_CHECK_MODULES([NGHTTP2], [libnghttp2 >= 1.33], [appcore_nghttp2=yes
     NGHTTP2_CFLAGS="$NGHTTP2_CFLAGS -DAPPCORE_HTTP2"],
     [AC_MSG_ERROR([libnghttp2 not found; install libnghttp2-dev (Debian) or
  libnghttp2-devel (RHEL), or say --without-nghttp2])])])
AM_CONDITIONAL([HAVE_NGHTTP2], [test "x$appcore_nghttp2" = xyes])
])
