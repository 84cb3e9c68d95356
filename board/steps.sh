# To be sourced by what tries a door in an emulated machine: its steps, and waiting for a
# machine that is slow. The caller has set `results`, the folder in which everything is
# left, and has a function ssh_door, which runs a command in the machine as root.
# shellcheck shell=bash

mkdir -p "$results"
results=$(realpath "$results")
# How long the machine may take for one thing, seconds. On two free cores it answers after
# 90 s; a slot that is tried three times takes four minutes.
patience=900
# The emulator's process, which whoever starts it sets.
machine=

wait_for_login() {
    local deadline=$((SECONDS + patience))
    until door true 2>/dev/null; do
        kill -0 "$machine" 2>/dev/null || wrong "the machine stopped; serial.log has its words"
        ((SECONDS < deadline)) || wrong "nobody answers for $patience s; serial.log has the machine's words"
        sleep 2
    done
}

well() {
    [[ $(door systemctl is-system-running --wait) == running ]] ||
        wrong "not running: $(door systemctl --failed --no-legend --plain)"
    wait_until "the station cannot ring" can_ring
}

can_ring() {
    [[ $(door doorstation status --json) == *'"can_ring":true'* ]]
}

# Until a command succeeds: wait_until WHAT-IS-WRONG-OTHERWISE COMMAND...
wait_until() {
    local words=$1 deadline=$((SECONDS + patience))
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS < deadline)) || wrong "$words, for $patience s"
        sleep 1
    done
}

power_off() {
    door systemctl poweroff || true
    wait "$machine" || true
    machine=
}

door() {
    ssh_door -o BatchMode=yes "$@"
}

# What is being done, for the words of a failure anywhere in it.
doing=
step() {
    local from=$SECONDS
    doing=$1
    shift
    "$@"
    say "$doing: $((SECONDS - from)) s"
}

at_end() {
    local code=$?
    ((code == 0)) || say "failed: $doing"
    if [[ -n $machine ]]; then
        kill "$machine" 2>/dev/null || true
    fi
}
trap at_end EXIT

wrong() {
    fail "wrong: $*"
}

say() {
    printf 'vm-test: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 1
}
