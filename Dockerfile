# syntax=docker/dockerfile:1
# The image is one static binary, the public certificate authorities, and nothing else: no shell, no libc, no root.
# `make image-check` takes the same steps without an engine. Pin the builder by digest in your own pipeline:
#   docker build --build-arg BUILDER=rust:1.95.0-bookworm@sha256:… .
ARG BUILDER=rust:1.95.0-bookworm

FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    tools/image_rootfs.sh /rootfs

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
# Checks; probes and metrics. The private admin port stays inside.
EXPOSE 9191 8282
ENTRYPOINT ["/usr/bin/countersign"]
CMD ["serve", "--config", "/etc/countersign/config/countersign.yaml"]
