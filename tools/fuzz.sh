#!/bin/bash
# Gives the targets of the crate `fuzz` to libFuzzer, one after the other.
#
#   tools/fuzz.sh build                 compiles the fuzzer; our own crates with coverage, with every check a release leaves out
#   tools/fuzz.sh run SECONDS [TARGET…] all targets or these, each for so long; what is found stays in .tools/fuzz
#   tools/fuzz.sh minimize              puts a few of what was found into fuzz/corpus, each of which goes a way of its own
#
# An input fails a target when it panics, takes more than SECONDS_MAX, or the process needs more than MEBIBYTES_MAX; one
# that takes more than SLOW_SECONDS is kept beside.
# One that failed is in .tools/fuzz/failed/TARGET-…: mend it, then copy it to fuzz/corpus/TARGET, where the tests find it.
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_MAX=10
SLOW_SECONDS=1
MEBIBYTES_MAX=512
INPUT_BYTES_MAX=8192
# Of each target; all together stay below what fuzz/tests/corpus.rs allows.
KEPT_BYTES_MAX=3500

TARGET_DIR=${CARGO_TARGET_DIR:-target}
FUZZER=$TARGET_DIR/demo/fuzz
FOUND=.tools/fuzz

build() {
  RUSTC_WORKSPACE_WRAPPER="$PWD/tools/fuzz-rustc.sh" \
    cargo build --locked --profile demo -p bellwether-fuzz --features libfuzzer --bin fuzz
}

names() {
  # Asked for none it says which there are.
  BELLWETHER_FUZZ= "$FUZZER" -runs=0 2>&1 | sed -n 's/.*must be one of: //p'
}

run() {
  local seconds=$1 target log failed=0
  shift
  mkdir -p "$FOUND/failed"
  printf '%-16s %12s %8s %8s %6s\n' target inputs seconds edges kept
  for target in ${*:-$(names)}; do
    log=$FOUND/$target.log
    mkdir -p "$FOUND/$target" "fuzz/corpus/$target"
    if ! BELLWETHER_FUZZ=$target "$FUZZER" "$FOUND/$target" "fuzz/corpus/$target" \
      -max_total_time="$seconds" -timeout=$SECONDS_MAX -report_slow_units=$SLOW_SECONDS -rss_limit_mb=$MEBIBYTES_MAX -max_len=$INPUT_BYTES_MAX \
      -artifact_prefix="$FOUND/failed/$target-" -print_final_stats=1 >"$log" 2>&1; then
      failed=1
      echo "$target failed:"
      grep -aE 'panicked|ERROR|artifact|Test unit' -A1 "$log" | head -8
    fi
    awk -v name="$target" '/stat::number_of_executed_units/ { inputs = $2 }
      /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
      /^Done/ { seconds = $5 }
      END { printf "%-16s %12d %8d %8d", name, inputs, seconds, edges }' "$log"
    printf ' %6d\n' "$(find "$FOUND/$target" -type f | wc -l)"
  done
  return $failed
}

minimize() {
  local target merged bytes size file
  for target in $(names); do
    merged=$(mktemp -d)
    mkdir -p "$FOUND/$target" "fuzz/corpus/$target"
    BELLWETHER_FUZZ=$target "$FUZZER" -merge=1 -max_len=$INPUT_BYTES_MAX "$merged" "fuzz/corpus/$target" \
      "$FOUND/$target" >/dev/null 2>&1
    # What has a name was put there by somebody; what is called by its hash was found.
    find "fuzz/corpus/$target" -type f | grep -E '/[0-9a-f]{40}$' | xargs -r rm
    bytes=0
    while read -r size file; do
      [ "$size" -le $((KEPT_BYTES_MAX / 3)) ] || continue
      bytes=$((bytes + size))
      [ $bytes -le $KEPT_BYTES_MAX ] || break
      mv "$merged/$file" "fuzz/corpus/$target/"
    done < <(find "$merged" -type f -printf '%s %f\n' | sort -k2)
    rm -rf "$merged"
    echo "$target: $(find "fuzz/corpus/$target" -type f | wc -l) inputs"
  done
}

case "${1:-}" in
  build | run | minimize) "$@" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" ;;
esac
