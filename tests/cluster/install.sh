#!/bin/sh
# Installs what the tests marked `cluster` start, on Debian: SLURM with its authentication, and PostgreSQL.
# Nothing of it is configured or left running by this script: the tests start their own on private ports and folders.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd mariadb-server munge postgresql >/dev/null
