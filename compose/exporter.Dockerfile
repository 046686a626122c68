# An image of one of our exporters; the build argument BINARY says which. No feature of BuildKit is used, so that the
# builder of every engine can read it, and nothing here depends on the processor.
#
#   docker build -f compose/exporter.Dockerfile --target static --build-arg BINARY=rapl-exporter -t rapl-exporter .
#
# static: the program alone, statically linked. glibc: beside a C library, for programs that load libraries (dlopen).
# A site's own package registry goes into .cargo/config.toml or vendor/ of the checkout; docs/images.md says how.

# Any image with cargo, a C linker and the C library's static half.
ARG BUILDER_IMAGE=docker.io/library/rust:1.95-slim-bookworm
# What the static program lies on; nothing is needed.
ARG BASE_IMAGE=scratch
# At least as new as the builder's C library.
ARG GLIBC_IMAGE=docker.io/library/debian:bookworm-slim

# The manifests with empty programs, which change seldom: what depends on them alone stays in the builder's cache.
FROM ${BUILDER_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN for package in crates/*; do \
        [ -d $package/src ] || { mkdir $package/src && touch $package/src/lib.rs $package/src/main.rs; }; \
    done && find crates -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' sh {} +

# Every program at once, so that the image of the second one costs nothing. What runs on the machine itself is not there.
FROM ${BUILDER_IMAGE} AS builder
ENV BUILD="cargo build --release --locked --workspace --exclude missionctl --exclude compose --exclude demo-machine --exclude fake-nvml --exclude fake-devices --bins"
WORKDIR /src
COPY --from=manifests /src .
# A target is named so that the flags are for the programs only, not for the compiler's own plug-ins.
RUN RUSTFLAGS="-C target-feature=+crt-static" $BUILD --target "$(rustc -vV | sed -n 's/^host: //p')"
COPY . .
RUN find crates -name '*.rs' -exec touch {} + \
    && RUSTFLAGS="-C target-feature=+crt-static" $BUILD --target "$(rustc -vV | sed -n 's/^host: //p')" \
    && mkdir /out && find target/*/release -maxdepth 1 -type f -perm -u+x -exec cp {} /out \;

FROM ${BASE_IMAGE} AS static
ARG BINARY
COPY --from=builder /out/${BINARY} /exporter
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="${BINARY}" \
      org.opencontainers.image.description="${BINARY} of Mission Control, for Prometheus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/exporter", "--healthcheck"]
ENTRYPOINT ["/exporter"]

# Only the one that needs it, since it is compiled anew.
FROM builder AS glibc-builder
ARG BINARY
RUN cargo build --release --locked --package "$BINARY" && cp "target/release/$BINARY" /out/

FROM ${GLIBC_IMAGE} AS glibc
ARG BINARY
COPY --from=glibc-builder /out/${BINARY} /exporter
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="${BINARY}" \
      org.opencontainers.image.description="${BINARY} of Mission Control, for Prometheus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/exporter", "--healthcheck"]
ENTRYPOINT ["/exporter"]
