#!/bin/sh
# Installs what the tests marked `browser` start, on Debian: Chromium. They drive it by what the extra `browser` brings.
set -eu
export DEBIAN_FRONTEND=noninteractive
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -E "$@"; fi; }
as_root apt-get update -qq
as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
