#!/usr/bin/env bash
# Makes the image's file system: image_rootfs.sh FOLDER. Called by the Dockerfile, and by image_check.sh.
#
# Static against glibc (2.34 and later resolve names without loading anything), so that no other C library and no
# cross compiler is needed. The target is named so that build scripts and macros stay dynamic.
set -euo pipefail

root=$1
target=$(rustc --print host-tuple)

RUSTFLAGS="-C target-feature=+crt-static -C strip=debuginfo" \
  cargo build --locked --release --bin countersign --target "$target"

install -D -m 755 "${CARGO_TARGET_DIR:-target}/$target/release/countersign" "$root/usr/bin/countersign"
# For issuers whose keys are fetched over HTTPS.
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf 'countersign:x:65532:65532::/:/sbin/nologin\n' > "$root/etc/passwd"
