# Sourced by the scripts beside it: where things are, and how to talk to people.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Not FENCELINE_STATE, which names an operator's installation. The scripts' own tests have other folders.
state=${FENCELINE_SETUP_STATE:-$root/.fenceline}
log=$state/log
socket=/var/run/docker.sock
# Exported, so that docker and what the scripts run talk to the same engine as the scripts.
export DOCKER_HOST=${DOCKER_HOST:-unix://$socket}

say() { printf '%s\n' "${speaker:-setup}: $*"; }

# fail says what went wrong and, on the lines after it, what to do.
fail() {
  printf 'setup: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '       %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [[ $(id -u) == 0 ]]; }
# outside_buildkitd tells whether fenceline is given a buildkitd that runs, by its address.
outside_buildkitd() { [[ ${FENCELINE_BUILDKITD:-} == *://* ]]; }

# installed_compose tells whether Docker Compose is installed, in a version that knows all of compose.cluster.yaml.
installed_compose() {
  local need=2.24.4 found # the first that replaces what a file before has: !override
  found=$(docker compose version --short 2>/dev/null) || return
  found=${found#v}
  [[ $(printf '%s\n' $need "$found" | sort -V | head -n 1) == "$need" ]]
}

# clocked TEXT COMMAND... runs a command that takes a while, and says every 10 seconds that it
# still runs.
clocked() {
  local text=$1 start=$SECONDS status=0
  shift
  say "$text …"
  # In the background only the clock: what runs there is deaf to Ctrl-C. It takes its sleep
  # along when it ends, which would hold the output open for whoever reads it to the end.
  (
    trap 'kill $(jobs -p) 2>/dev/null; exit' TERM
    while sleep 10 & wait $! && kill -0 $$ 2>/dev/null; do say "  … $text: $((SECONDS - start)) s"; done
  ) &
  local clock=$!
  "$@" || status=$?
  kill "$clock" 2>/dev/null || true
  wait "$clock" 2>/dev/null || true
  if ((status != 0)); then
    say "$text: failed with status $status after $((SECONDS - start)) s" >&2
    return "$status"
  fi
  say "  done in $((SECONDS - start)) s"
}

# step NAME TEXT COMMAND... is clocked for a command whose output nobody needs to see: it goes
# to log/NAME.log, and its end is shown when the command fails.
step() {
  local file=$log/$1.log text=$2 status=0
  shift 2
  mkdir -p "$log"
  clocked "$text" logged "$file" "$@" || status=$?
  if ((status != 0)); then
    tail -n 20 "$file" | sed 's/^/       | /' >&2
    say "  all that it said is in $file" >&2
  fi
  return "$status"
}

logged() {
  local file=$1
  shift
  "$@" >"$file" 2>&1 </dev/null
}

# unasked SERVICE ends what a package has started of its own, which nobody asked for, and keeps it from starting with the machine:
# by systemd, or by the scripts of init where that runs the machine.
unasked() {
  if have systemctl && [[ -d /run/systemd/system ]]; then
    systemctl disable --now "$1" >/dev/null 2>&1 || true
    return
  fi
  ! have service || service "$1" stop >/dev/null 2>&1 || true
  ! have update-rc.d || update-rc.d "$1" disable >/dev/null 2>&1 || true
}

# apt_install PACKAGE... installs packages of a Debian or Ubuntu system.
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  step apt "installing $* with apt-get" sh -c '
    apt-get install -y --no-install-recommends "$@" && exit
    apt-get update && apt-get install -y --no-install-recommends "$@"' sh "$@"
}

can_apt() { is_root && have apt-get && have dpkg; }
