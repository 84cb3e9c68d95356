# U-Boot's script on the boot partition: chooses a slot, counts its tries, boots it.
#
# What it remembers stands in 4 KiB at 512 KiB of the card, between the partition table
# and the first partition, where Linux finds it by /etc/fw_env.config: BOOT_ORDER, the
# slots in the order in which they are tried, and how many tries each has left. It is
# written in place: a power cut in the middle leaves a wrong checksum, and the defaults.
setenv scratch ${ramdisk_addr_r}
setenv BOOT_ORDER "A B"
setenv BOOT_A_LEFT 3
setenv BOOT_B_LEFT 3
${devtype} dev ${devnum}
if ${devtype} read ${scratch} 0x400 0x8; then
    env import -c ${scratch} 0x1000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fi

setenv slot
for candidate in ${BOOT_ORDER}; do
    if test -z "${slot}"; then
        if test "${candidate}" = "A" && test ${BOOT_A_LEFT} -gt 0; then
            setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
            setenv slot A
            setenv part 2
        fi
        if test "${candidate}" = "B" && test ${BOOT_B_LEFT} -gt 0; then
            setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
            setenv slot B
            setenv part 3
        fi
    fi
done

# Nothing left to try: from the beginning, for a door that boots some day is better than
# one that never does.
setenv again
if test -z "${slot}"; then
    setenv again yes
    setenv BOOT_ORDER "A B"
    setenv BOOT_A_LEFT 3
    setenv BOOT_B_LEFT 3
fi
env export -c -s 0x1000 ${scratch} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
${devtype} write ${scratch} 0x400 0x8
if test -n "${again}"; then
    echo "DOORSTATION: no slot has a try left"
    reset
fi
echo "DOORSTATION: slot ${slot}, tries left A=${BOOT_A_LEFT} B=${BOOT_B_LEFT}"

# 64 MiB for the kernel: U-Boot's own places for a Raspberry Pi are 38 MiB apart, and it
# refuses a kernel of Debian 13 that reaches into the initramfs.
setexpr ramdisk_addr_r ${kernel_addr_r} + 0x4000000
part uuid ${devtype} ${devnum}:${part} rootid
part uuid ${devtype} ${devnum}:4 dataid
if test "${devtype}" = "virtio"; then
    setenv console "console=ttyAMA0,115200"
else
    setenv console "console=tty0 console=ttyS1,115200"
fi
setenv bootargs "root=PARTUUID=${rootid} data=PARTUUID=${dataid} rauc.slot=${slot} ${console} net.ifnames=0 panic=10 loglevel=5 systemd.getty_auto=no"
if load ${devtype} ${devnum}:${part} ${kernel_addr_r} boot/vmlinuz; then
    if load ${devtype} ${devnum}:${part} ${ramdisk_addr_r} boot/initrd.img; then
        booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
    fi
fi
echo "DOORSTATION: slot ${slot} does not load"
reset
