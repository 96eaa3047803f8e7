#!/bin/sh
# The compiler of our own crates for `tools/fuzz.sh`: code tells libFuzzer which ways it went, and checks what a release
# does not. Dependencies are compiled as ever: they are those of `make build`.
exec "$@" -Copt-level=1 -Cstrip=none -Coverflow-checks=on -Cdebug-assertions=on \
  -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
