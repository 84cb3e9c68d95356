#!/bin/sh
# The part of board/image/try that runs in the emulated root, in /tmp with the programs.
set -eu
cd /tmp
patience=240

main() {
    said=$(doorstation --version)
    tell "$said" && case $said in "doorstation "*) ;; *) fail "--version" ;; esac
    doorstation-relay --version >/dev/null || fail "doorstation-relay --version"
    check_examples
    call
    tell "all is well"
}

check_examples() {
    for secret in alice turn cloud; do
        (umask 077 && echo secret >"$secret.password")
    done
    mkdir -p bob && (umask 077 && echo secret >bob/bob)
    CREDENTIALS_DIRECTORY=/tmp/bob doorstation config check example.toml || fail "config check example.toml"
    for board in generic.toml pi4.toml pi5.toml zero2w.toml; do
        doorstation board check "$board" >/dev/null || fail "board check $board"
    done
    tell "the examples of configuration and boards are right"
}

# A door with a gateway and a simulated sound card, and a station that has an account at
# that gateway and rings the door.
call() {
    mkfifo keys
    doorstation demo --json --listen 127.0.0.1:8443 --state /tmp/door --control /tmp/door.sock --size 320x240 \
        --user alice:secret --panel stdin <keys >door.log 2>door-errors.log &
    door=$!
    exec 3>keys
    trap 'kill $door ${station:-} 2>/dev/null || true' EXIT
    wait_for door.log '"event":"ready"'
    cat >station.toml <<'STATION'
[call]
ring = ["cloud:door@demo.local"]
[call.defaults]
video = true
[gateway]
enabled = false
[[account]]
name = "cloud"
user = "alice@demo.local"
password_file = "alice.password"
rest = "https://127.0.0.1:8443"
websocket = "wss://127.0.0.1:8443"
ca_file = "door/tls/ca.crt"
[camera]
source = "test"
width = 320
height = 240
frames_per_s = 10
[control]
socket = "/tmp/station.sock"
group = "none"
STATION
    mkfifo more-keys
    doorstation run --json --config station.toml <more-keys >station.log 2>station-errors.log &
    station=$!
    exec 4>more-keys
    wait_for station.log '"event":"ready"'
    tell "the station is logged in at the door's gateway"
    doorstation call --socket station.sock
    wait_for door.log '"event":"call:receive"'
    doorstation answer --socket door.sock
    wait_for door.log '"state":"IN_CALL"'
    wait_for station.log '"state":"IN_CALL"'
    for end in door station; do
        wait_for "$end.log" '"name":"answer_to_first_picture_sent"'
    done
    tell "they talk"
    # Figures are taken once a second.
    sleep 10
    doorstation end --socket station.sock
    wait_for door.log '"event":"call:summary"'
    wait_for station.log '"event":"call:summary"'
    grep -h '"event":"call:summary"' door.log station.log
    summary=$(grep '"event":"call:summary"' station.log)
    # The station has no sound card: what it has of sound is what comes from the door.
    for figure in talked_ms frames_per_s_p50 jitter_buffer_ms_p50; do
        case $summary in *"\"$figure\":"[1-9]*) ;; *) fail "no $figure in the summary of the call" ;; esac
    done
    kill "$station"
    wait "$station" || fail "the station does not stop as it should"
    station=
    kill "$door"
    wait "$door" || fail "the door does not stop as it should"
}

wait_for() {
    seconds=0
    until grep -q "$2" "$1"; do
        seconds=$((seconds + 1))
        [ "$seconds" -lt "$patience" ] || { tail -n 20 ./*.log; fail "no $2 in $1 for $patience s"; }
        sleep 1
    done
}

tell() {
    echo "try: $*"
}

fail() {
    tell "failed: $*"
    exit 1
}

main
