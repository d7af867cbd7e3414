#!/usr/bin/env bash
# A short run of every fuzz target: fuzz_smoke.sh CARGO_FUZZ [SECONDS]
#
# Without a sanitizer (`-s none`): the code is free of `unsafe`, so panics, hangs and broken laws are what there is to
# find, and the stable compiler finds them.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz=$1
seconds=${2:-10}

"$cargo_fuzz" fuzz build --sanitizer none

for target in $("$cargo_fuzz" fuzz list); do
  corpus=(fuzz/corpus/"$target")
  mkdir -p "${corpus[0]}"
  [ ! -d "fuzz/seeds/$target" ] || corpus+=("fuzz/seeds/$target")
  if output=$("$cargo_fuzz" fuzz run --sanitizer none "$target" "${corpus[@]}" -- \
    -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 2>&1); then
    printf '%-18s %s\n' "$target" "$(grep '^Done' <<< "$output")"
  else
    printf '%s failed:\n%s\n' "$target" "$output" >&2
    exit 1
  fi
done
