# To be sourced by mkroot and mkcard, in the build root, as root: lets programs of arm64
# run by the build root's static emulator, on the whole machine until the script ends. A
# machine that knows how to run them is left alone.
# shellcheck shell=bash
emulate() {
    local table=/proc/sys/fs/binfmt_misc
    [[ -e $table/register ]] || mount -t binfmt_misc binfmt_misc "$table"
    if grep -lqs '7f454c460201010000000000000000000200b7' "$table"/*; then
        return
    fi
    trap 'echo -1 >/proc/sys/fs/binfmt_misc/doorstation-arm64' EXIT
    # Magic and mask of a 64-bit ARM program; O, C, P, F: the kernel's binfmt-misc.rst.
    printf '%s' ':doorstation-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:OCPF' >"$table/register"
}
