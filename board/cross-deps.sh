#!/bin/sh
# Installs what cross builds for aarch64 need beside a Rust toolchain with the target's
# standard library: the one list, for board/mkbuildroot, for cross.toml, and for a
# Debian 13 machine of a developer. As root; changes nothing but packages.
set -eu

dpkg --add-architecture arm64
apt-get update -qq
# cmake builds Opus. libcamera is no part of it: GStreamer loads its plugin at run time.
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    build-essential crossbuild-essential-arm64 pkgconf pkgconf:arm64 cmake \
    libasound2-dev:arm64 libgstreamer1.0-dev:arm64 libgstreamer-plugins-base1.0-dev:arm64
