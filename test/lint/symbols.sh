#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
#
# The module exports its record and nothing else, and needs no symbol of another
# module: it has to load before or after mod_proxy and without it. What hosts .NET is an
# app to httpd: it exports what every app does, and needs nothing of httpd or APR.
set -u
module=${builddir:-.}/.libs/mod_appcore.so
if [ ! -f "$module" ]; then
    echo "skipped: $module is not built"
    exit 77
fi
status=0
exported=$(nm -D --defined-only "$module" | awk '{ print $3 }' | sort)
if [ "$exported" != appcore_module ]; then
    echo "exported symbols should be appcore_module alone, but are:"
    echo "$exported"
    status=1
fi
foreign=$(nm -D --undefined-only "$module" | awk '{ print $2 }' |
          grep -E '^(ap_proxy|proxy_|ssl_|ap_ssl_var|dav_|ap_session)' |
          grep -v -E '^ap_ssl_(conn_is_ssl|var_lookup)')
if [ -n "$foreign" ]; then
    echo "symbols of other modules:"
    echo "$foreign"
    status=1
fi
ours=$(nm -D --undefined-only "$module" | awk '$2 ~ /^ac_/ { print $2 }')
if [ -n "$ours" ]; then
    echo "symbols of ours that no source defines:"
    echo "$ours"
    status=1
fi
dotnet=${builddir:-.}/.libs/appcore/appcore-dotnet.so
exported=$(nm -D --defined-only "$dotnet" | awk '{ print $3 }' | sort)
if [ "$exported" != appcore_app_v1 ]; then
    echo "$dotnet should export appcore_app_v1 alone, but exports:"
    echo "$exported"
    status=1
fi
foreign=$(nm -D --undefined-only "$dotnet" | awk '{ print $2 }' |
          grep -E '^(ap_|apr_|ac_|hostfxr_|coreclr_)')
if [ -n "$foreign" ]; then
    echo "$dotnet needs symbols that are not those of libc and jansson:"
    echo "$foreign"
    status=1
fi
echo "two libraries, one symbol each"
exit $status
