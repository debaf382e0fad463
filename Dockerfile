# syntax=docker/dockerfile:1

# The bundled librdkafka, OpenSSL, zlib and zstd need a C and a C++ compiler, make and perl; this image has them.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The caches last longer than this layer, so the program is copied out of them in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked \
    && cp target/release/holdpoint /usr/local/bin/holdpoint

FROM debian:bookworm-slim
# The authorities that sign brokers' certificates; all else is linked in.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin holdpoint
COPY --from=build /usr/local/bin/holdpoint /usr/local/bin/holdpoint
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8484
ENTRYPOINT ["holdpoint"]
CMD ["run"]
