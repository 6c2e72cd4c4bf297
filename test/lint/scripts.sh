#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
#
# Looks at every script of the tree with shellcheck.
set -u
cd "${srcdir:-.}" || exit 1
if ! command -v shellcheck >/dev/null 2>&1; then
    echo "skipped: shellcheck is not installed"
    exit 77
fi
list=
for f in bootstrap quickstart runtests .ci/run bench/run \
         test/*.sh test/*/*.sh test/*/*/*.sh bench/*.sh; do
    if [ -f "$f" ] && head -n 1 "$f" | grep -q -E '^#!.*[/ ](ba)?sh$'; then
        list="$list $f"
    fi
done
# shellcheck disable=SC2086
shellcheck $list || exit 1
echo "checked:$list"
