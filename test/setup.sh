#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
#
# What quickstart and runtests share: installing what is missing, and the build.
# Sourced, never run; expects the project's root in $top.

: "${top:?}"
missing=()

say()
{
    printf '%s\n' "$*"
}

fail()
{
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need PACKAGE COMMAND… : the package if the command fails.
need()
{
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

have()
{
    command -v "$1"
}

have_apxs()
{
    have apxs || have apxs2
}

have_httpd()
{
    PATH=$PATH:/usr/sbin:/usr/local/apache2/bin have apache2 ||
        PATH=$PATH:/usr/sbin:/usr/local/apache2/bin have httpd
}

# have_module NAME : of httpd.
have_module()
{
    local apxs
    apxs=$(have apxs || have apxs2) || return 1
    [ -f "$("$apxs" -q LIBEXECDIR)/mod_$1.so" ]
}

# pkg-config may itself be missing still, so headers are looked for by the
# compiler's own means.
have_header()
{
    echo "#include <$1>" | cc -E -xc - -o /dev/null
}

need_for_build()
{
    need gcc have cc
    need libc6-dev have_header stdio.h
    need make have make
    need autoconf have autoconf
    need automake have automake
    need libtool have libtoolize
    need pkg-config have pkg-config
    need apache2-bin have_httpd
    need apache2-dev have_apxs
    need libexpat1-dev have_header expat.h
    need libjansson-dev have_header jansson.h
    need libnghttp2-dev have_header nghttp2/nghttp2.h
    need python3 have python3
    need curl have curl
    need procps have ps
}

# Installs what need() found missing: as root with apt-get, else says the names.
install_missing()
{
    local list log
    [ ${#missing[@]} -gt 0 ] || return 0
    list=$(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "please install what these Debian packages contain: $list"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        fail "please install as root: apt-get install $list"
    fi
    say "Installing: $list"
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
           --no-install-recommends $list; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get failed; all of its output is in $log"
    fi
    rm -f "$log"
    missing=()
}

# run_logged LOG WHAT COMMAND… : quiet unless it fails.
run_logged()
{
    local log=$1 what=$2
    shift 2
    say "$what"
    if ! "$@" >>"$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail "$what: failed; all of the output is in $log"
    fi
}

configure_in()
{
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && "$top/configure" "$@")
}

# configured_with FOLDER OPTION…
configured_with()
{
    local status=$1/config.status option
    shift
    for option in "$@"; do
        grep -q -e "$option" "$status" || return 1
    done
}

# build_in FOLDER LOG CONFIGURE-OPTION… : configures it if that was not done yet
# or without these options.
build_in()
{
    local folder=$1 log=$2
    shift 2
    if [ ! -x "$top/configure" ]; then
        run_logged "$log" "Making ./configure" "$top/bootstrap"
    fi
    if [ ! -f "$folder/Makefile" ] || ! configured_with "$folder" "$@"; then
        run_logged "$log" "Configuring in $folder" configure_in "$folder" "$@"
    fi
    run_logged "$log" "Building in $folder" make -C "$folder" -j "$(nproc)"
}
