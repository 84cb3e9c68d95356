# To be sourced by try-card, try-updates, try-cuts and try-pi3, in the build root: an emulated arm64
# board that boots a card of script/image, and what an installer or a thief of power does
# to it. The caller has set `results`, the folder in which everything is left.
# shellcheck shell=bash

# shellcheck source=board/steps.sh
. ../steps.sh
card=$results/card.img
flash=$(realpath ../../target/flash)
# Where disk.cfg puts what, MiB; a slot is 1 GiB.
# shellcheck disable=SC2034  # for those who source it
boot_at=1 slot_a_at=65 slot_b_at=1089 data_at=2113
# More arguments of the emulator.
more=()
# Keeps what the machine writes to the card in card.log, or forgets it (try-cuts).
recording=''
snapshot=off
# Where this machine reaches that one's SSH and page. Several may run at a time.
ssh_port=$((20000 + $$ % 10000)) page_port=$((30000 + $$ % 10000))
# The folder of the authority that signs bundles, where there are any.
authority=

# A card with nothing on it but the image, and bigger than that, as all are.
new_card() {
    local image
    card=$results/$1.img
    image=$(echo "$flash"/doorstation-*-debian.img.zst)
    [[ -s $image ]] || wrong "no image in target/flash: script/image makes it"
    zstd -q -f -d "$image" -o "$card"
    truncate -s +512M "$card"
    [[ -s $results/key ]] || ssh-keygen -q -t ed25519 -N '' -C installer -f "$results/key"
    put "$results/key.pub" door.pub
}

# Puts a file onto the boot partition.
put() {
    mcopy -o -i "$card@@${boot_at}M" "$1" "::$2"
}

# A configuration for the emulated board; its station has the name $1.
configuration() {
    cat <<TOML
[station]
name = "$1"

[gateway]
listen = "0.0.0.0:8443"

[[gateway.user]]
name = "indoor"
password_file = "indoor.password"

[camera]
source = "test"
width = 320
height = 240

[panel]
board = "generic"
chip = "9030000.pl061"

[[panel.button]]
name = "bell"
pin = 0
active = "high"
pull = "off"

[panel.sensor.request_to_exit]
pin = 4
active = "high"
pull = "off"

[door]
TOML
}

# Switches it on and waits until somebody can log in and the start is over.
boot() {
    switch_on
    wait_for_login
    well
}

switch_on() {
    local drive=(-drive "if=none,id=card,file=$card,format=raw,discard=unmap,snapshot=$snapshot")
    if [[ -n $recording ]]; then
        : >"$results/card.log"
        drive=(-blockdev "driver=file,node-name=disk,filename=$card"
            -blockdev "driver=file,node-name=log,filename=$results/card.log"
            -blockdev "driver=blklogwrites,node-name=card,file=disk,log=log,log-sector-size=512")
    fi
    qemu-system-aarch64 -M virt,acpi=off -cpu cortex-a72 -smp 2 -m 1G \
        -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin "${drive[@]}" -device virtio-blk-device,drive=card "${more[@]}" \
        -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$ssh_port-:22,hostfwd=tcp:127.0.0.1:$page_port-:8443 \
        -device virtio-net-device,netdev=net -display none -serial "file:$results/serial.log" \
        -qmp "unix:$results/qmp,server,nowait" -qtest "unix:$results/qtest,server,nowait" -qtest-log none &
    machine=$!
}

# As a loss of power does it: nothing that runs in the machine gets to know.
cut_power() {
    kill -KILL "$machine"
    wait "$machine" 2>/dev/null || true
    machine=
}

ssh_door() {
    ssh -F none -i "$results/key" -p "$ssh_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR -o ConnectTimeout=60 -o ServerAliveInterval=15 -o ServerAliveCountMax=8 \
        root@127.0.0.1 "$@"
}

# By what one door is told from another.
identity() {
    door cat /etc/machine-id /etc/ssh/keys/ssh_host_ed25519_key.pub /var/lib/doorstation/tls/ca.crt
}

slot() {
    door sed -n "'s/.*rauc\.slot=\([AB]\).*/\1/p'" /proc/cmdline
}

version() {
    door sed -n 's/^VERSION=//p' /etc/doorstation-release
}

# Writes U-Boot's environment: set_slots ORDER TRIES-OF-A TRIES-OF-B
set_slots() {
    printf '%s\n' "BOOT_ORDER=$1" "BOOT_A_LEFT=$2" "BOOT_B_LEFT=$3" | mkenvimage -s 0x1000 -o "$results/environment" -
    dd if="$results/environment" of="$card" bs=512 seek=1024 conv=notrunc status=none
}

# The slots that U-Boot chose since the machine was switched on, in their order: ABB.
chosen() {
    grep -ao 'DOORSTATION: slot [AB], tries' "$results/serial.log" | sed 's/.*slot \(.\).*/\1/' | tr -d '\n'
}

# Changes the file system at so many MiB of a disk: change DISK MIB COMMAND-OF-DEBUGFS...
# debugfs does not say by its exit code whether it could: look at what came of it.
change() {
    local disk=$1 at=$2
    shift 2
    printf '%s\n' "$@" | debugfs -w -f - "$disk?offset=$((at << 20))" >>"$results/debugfs.log" 2>&1
}

# Prints a file of the file system at so many MiB of a disk: read_back DISK MIB FILE
read_back() {
    debugfs -R "cat $3" "$1?offset=$(($2 << 20))" 2>/dev/null
}

# The bundle of script/image, unpacked into the folder `content`; `old` is its version.
unpack_bundle() {
    local released=("$flash"/doorstation-*.raucb)
    [[ -s ${released[0]} ]] || wrong "no bundle in target/flash: script/image makes it"
    unsquashfs -quiet -no-progress -d "$results/content" "${released[0]}" >/dev/null
    old=$(sed -n 's/^version=//p' "$results/content/manifest.raucm")
    [[ -n $old ]] || wrong "the bundle of script/image has no version"
}

# newer VERSION STEPS
newer() {
    printf '%s.%d' "${1%.*}" $((${1##*.} + $2))
}

# A bundle of what is in `content`, under another version, signed by `authority`:
# pack_bundle VERSION FILE
pack_bundle() {
    local image=$results/content/root.ext4
    echo "VERSION=$1" >"$results/release"
    change "$image" 0 "rm /etc/doorstation-release" "write $results/release /etc/doorstation-release"
    [[ $(read_back "$image" 0 /etc/doorstation-release) == "VERSION=$1" ]] || wrong "the image keeps its version"
    printf '%s\n' '[update]' compatible=doorstation-debian-arm64 "version=$1" '[bundle]' format=verity \
        '[image.rootfs]' filename=root.ext4 >"$results/content/manifest.raucm"
    printf '%s\n' '[system]' compatible=doorstation-debian-arm64 bootloader=noop \
        '[keyring]' "path=$authority/authority.crt" check-purpose=codesign >"$results/host.conf"
    rauc --cert="$authority/sign.crt" --key="$authority/sign.key" --conf="$results/host.conf" bundle \
        --mksquashfs-args="-comp zstd -Xcompression-level 1 -quiet -no-progress" \
        "$results/content" "$2" >"$results/rauc.log" 2>&1 || wrong "$(cat "$results/rauc.log")"
}

# A second disk with what is in `folder`, as a memory stick; the machine has it from its
# next start on.
stick=$results/stick.img
folder=$results/stick
make_stick() {
    mke2fs -q -t ext4 -L stick -d "$folder" "$stick" "$(($(du -sm --apparent-size "$folder" | cut -f1) * 11 / 10 + 64))M"
    rm -rf "$folder" "$results/content"
    more+=(-drive "if=none,id=stick,file=$stick,format=raw,readonly=on" -device "virtio-blk-device,drive=stick")
}

plug_stick() {
    door mount -o ro LABEL=stick /mnt
}

# Presses the bell: line 0 of the board's GPIO chip goes up and down, by the emulator's own
# hand. What follows is a real interrupt.
press() {
    local chip
    chip=$({ echo '{"execute":"qmp_capabilities"}'; sleep 1
        echo '{"execute":"qom-list","arguments":{"path":"/machine/unattached"}}'; sleep 2; } |
        socat - "UNIX-CONNECT:$results/qmp" |
        grep -o '"name": "device\[[0-9]*\]", "type": "child<pl061>"' | grep -o 'device\[[0-9]*\]')
    [[ -n $chip ]] || wrong "no pl061 in the machine"
    {
        echo "set_irq_in /machine/unattached/$chip unnamed-gpio-in 0 1"
        sleep 1
        echo "set_irq_in /machine/unattached/$chip unnamed-gpio-in 0 0"
        sleep 1
    } | socat - "UNIX-CONNECT:$results/qtest" >"$results/qtest.log"
}
