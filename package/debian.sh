# To be sourced by script/package-test and board/guest/mkdisk, as root: a clean Debian with
# what the package depends on, made once and unpacked as often as somebody wants one.
# shellcheck shell=bash

# Makes the archive of one for a package, unless it is there already:
# make_debian ARCHIVE SUITE PACKAGE.deb MORE-PACKAGES, these with commas between them
make_debian() {
    local archive=$1 suite=$2 more=$4 depends
    depends=$(dpkg-deb -f "$3" Depends)
    if [[ -s $archive && $(cat "$archive.depends") == "$depends, $more" ]]; then
        return
    fi
    mkdir -p "${archive%/*}"
    # shellcheck disable=SC2016  # mmdebstrap's shell knows $1
    DEPENDS=$depends mmdebstrap --quiet --format=tar --variant=minbase --include="$more" \
        --dpkgopt=force-unsafe-io --customize-hook='chroot "$1" apt-get satisfy \
            -qq -y --no-install-recommends "$DEPENDS" >/dev/null' \
        "$suite" "$archive.part" || return 1
    mv "$archive.part" "$archive"
    printf '%s' "$depends, $more" >"$archive.depends"
}

# unpack_debian ARCHIVE ROOT, a new folder
unpack_debian() {
    local root=$2
    mkdir "$root"
    tar -x -f "$1" -C "$root" --exclude='./dev/*' || return 1
    mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev" || return 1
    mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 666 "$root/dev/urandom" c 1 9 || return 1
    # Services are systemd's to start; there is none here.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
}

# Takes back what unpack_debian mounted.
leave_debian() {
    local mounted
    for mounted in "$1/dev" "$1/proc" "$1"; do
        if mountpoint -q "$mounted"; then
            umount "$mounted"
        fi
    done
}

# in_debian ROOT COMMAND...
in_debian() {
    DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$@"
}
