#!/bin/sh
# Installs what the tests marked `cluster` start, on Debian: SLURM with its authentication and accounting, and
# PostgreSQL. The tests start their own of each, on private ports and in private folders.
set -eu
export DEBIAN_FRONTEND=noninteractive
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -E "$@"; fi; }
as_root apt-get update -qq
as_root apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd mariadb-server munge postgresql >/dev/null
