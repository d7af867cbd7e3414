#!/usr/bin/env bash
# Takes the Dockerfile's steps without an engine: builds from what .dockerignore lets through, assembles the root file
# system with the script that the Dockerfile calls, and runs its entry point inside of it, as its user.
#
# Proven: the build context suffices, the binary needs no library, the entry point and the user work. Not proven: that
# the builder's image can be pulled, and the engine's own work on the layers.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
context=$scratch/context root=$scratch/rootfs

# The only line of the Dockerfile that makes something is this script.
grep -q 'tools/image_rootfs.sh /rootfs' Dockerfile

mkdir "$context"
sed -n 's/^!//p' .dockerignore | while read -r path; do
  [ ! -e "$path" ] || git ls-files -z --cached --others --exclude-standard -- "$path"
done | xargs -0 cp --parents -t "$context"

# Built on the artefacts of earlier runs.
target_dir=$PWD/target
(cd "$context" && CARGO_TARGET_DIR=$target_dir tools/image_rootfs.sh "$root")

entry_point=$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]$/\1/p' Dockerfile)
user=$(sed -n 's/^USER //p' Dockerfile)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

# Without root, a user namespace stands in for it, and the user is not proven.
enter=(chroot --userspec="$user" "$root")
[ "$(id -u)" = 0 ] || enter=(unshare --map-root-user chroot "$root")
answer=$(env -i "$(command -v "${enter[0]}")" "${enter[@]:1}" "$entry_point" --version)
[ "$answer" = "countersign $version" ] || { echo "the image says \`$answer\`" >&2; exit 1; }

(cd "$root" && find . -type f -exec ls -lh {} + | awk '{ print $5, $9 }')
echo "the image's entry point runs as $user: $answer"
