#!/bin/sh
# Installs what the tests marked `cluster` start, on Debian: SLURM with its authentication and accounting, and
# PostgreSQL. The tests start their own of each, on private ports and in private folders.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd mariadb-server munge postgresql >/dev/null
