dnl SPDX-License-Identifier: Apache-2.0
dnl Part of mod_appcore; see LICENSE.

dnl APPCORE_PROG_PYTHON
dnl Lints and integration tests are Python; the module itself needs none.
AC_DEFUN([APPCORE_PROG_PYTHON], [
AC_PATH_PROGS([PYTHON], [python3], [:])
AC_PATH_PROGS([PYTEST], [pytest pytest-3], [pytest])
])

dnl APPCORE_SAMPLE_CXX
dnl One sample app is in C++, which nothing else needs, libtool included.
AC_DEFUN([APPCORE_SAMPLE_CXX], [
AC_CHECK_PROGS([APPCORE_CXX], [c++ g++ clang++])
AM_CONDITIONAL([HAVE_CXX], [test "x$APPCORE_CXX" != x])
])

dnl APPCORE_UNIT_TESTS
dnl Unit tests use Check and are left out where it is missing.
AC_DEFUN([APPCORE_UNIT_TESTS], [
PKG_CHECK_MODULES([CHECK], [check >= 0.12],
  [appcore_unit_tests=yes], [appcore_unit_tests="no (Check is missing)"])
AM_CONDITIONAL([HAVE_CHECK], [test "x$appcore_unit_tests" = xyes])
])

dnl APPCORE_COMPILER_FLAGS
dnl Sets APPCORE_CFLAGS and APPCORE_LDFLAGS; CFLAGS stay the user's.
AC_DEFUN([APPCORE_COMPILER_FLAGS], [
AC_ARG_ENABLE([maintainer-mode],
  [AS_HELP_STRING([--enable-maintainer-mode], [warnings are errors])])
AC_ARG_ENABLE([asan],
  [AS_HELP_STRING([--enable-asan], [address and undefined-behaviour checks])])
AC_ARG_ENABLE([fuzzers],
  [AS_HELP_STRING([--enable-fuzzers],
                  [build test/fuzz with libFuzzer (needs clang)])])

APPCORE_CFLAGS="-std=gnu11 -Wall -Wextra -fvisibility=hidden -fno-strict-aliasing"
APPCORE_CXXFLAGS="-O2 -g -Wall -Wextra -fvisibility=hidden"
APPCORE_LDFLAGS=
dnl clang complains of the way in which APR's rings find their sentinel.
AC_MSG_CHECKING([whether $CC knows -Wno-null-pointer-subtraction])
appcore_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -Werror -Wnull-pointer-subtraction"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
  [AC_MSG_RESULT([yes])
   APPCORE_CFLAGS="$APPCORE_CFLAGS -Wno-null-pointer-subtraction"],
  [AC_MSG_RESULT([no])])
CFLAGS=$appcore_save_CFLAGS
AS_IF([test "x$enable_maintainer_mode" = xyes],
  [APPCORE_CFLAGS="$APPCORE_CFLAGS -Werror -Wmissing-prototypes -Wstrict-prototypes"
   APPCORE_CXXFLAGS="$APPCORE_CXXFLAGS -Werror"])
AS_IF([test "x$enable_fuzzers" = xyes],
  [enable_asan=yes
   APPCORE_CFLAGS="$APPCORE_CFLAGS -fsanitize=fuzzer-no-link"
   AC_MSG_CHECKING([whether $CC has libFuzzer])
   appcore_save_CFLAGS=$CFLAGS
   CFLAGS="$CFLAGS -fsanitize=fuzzer"
   AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
    return data != NULL && len > 4096;
}]])], [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--enable-fuzzers needs clang: ./configure CC=clang])])
   CFLAGS=$appcore_save_CFLAGS])
AS_IF([test "x$enable_asan" = xyes],
  [appcore_sanitize="-fsanitize=address,undefined -fno-omit-frame-pointer"
   APPCORE_CFLAGS="$APPCORE_CFLAGS $appcore_sanitize -fno-sanitize-recover=undefined"
   APPCORE_LDFLAGS="$appcore_sanitize"])
AM_CONDITIONAL([ENABLE_FUZZERS], [test "x$enable_fuzzers" = xyes])
AM_CONDITIONAL([ENABLE_ASAN], [test "x$enable_asan" = xyes])
AC_SUBST([APPCORE_CFLAGS])
AC_SUBST([APPCORE_CXXFLAGS])
AC_SUBST([APPCORE_LDFLAGS])
])
