#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
#
# Replays the kept inputs of every fuzz target; make check runs it.
set -u
srcdir=${srcdir:-.}
builddir=${builddir:-.}
status=0
for target in ${FUZZ_TARGETS:-}; do
    corpus=$srcdir/test/fuzz/corpus/$target
    program=$builddir/test/fuzz/fuzz_$target
    if [ ! -d "$corpus" ]; then
        echo "$target: no corpus in $corpus"
        status=1
        continue
    fi
    # libFuzzer replays files; a folder would start a fuzzing run.
    # shellcheck disable=SC2046
    if out=$("$program" $(find "$corpus" -type f | sort) 2>&1); then
        echo "$target: $(echo "$out" | tail -n 1)"
    else
        echo "$out"
        echo "$target: failed"
        status=1
    fi
done
exit $status
