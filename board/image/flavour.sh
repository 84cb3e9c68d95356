# To be sourced by mkroot and mkcard, in the build root: in what the flavours differ.
# `debian` is Debian alone; `rpios` has kernel, firmware and libcamera of Raspberry Pi's own
# archive, and Debian for everything else.
# shellcheck shell=bash disable=SC2034

# choose_flavour NAME [KEY], with the key of Raspberry Pi's archive for rpios
choose_flavour() {
    flavour=$1 archive_key=${2:-}
    # A bundle of one flavour is refused by a door of the other.
    compatible=doorstation-$flavour-arm64
    case $flavour in
    debian)
        kernel_package=linux-image-arm64
        config=config.txt
        console=console=ttyS1,115200
        trees=('bcm2837-rpi-*.dtb' 'bcm2711-rpi-*.dtb')
        packages=(packages)
        made_of=(packages)
        ;;
    rpios)
        # Its pages have 4 KiB: one kernel for the Raspberry Pi 3, 4 and 5.
        kernel_package=linux-image-rpi-v8
        config=rpios/config.txt
        # The serial port of a Raspberry Pi 3 or 4, which that kernel has to be told of, and
        # of a 5; the one that is not there is passed over.
        console='8250.nr_uarts=1 console=ttyS0,115200 console=ttyAMA10,115200'
        trees=('bcm2710-rpi-*.dtb' 'bcm2711-rpi-*.dtb' 'bcm2712*-rpi-*.dtb')
        packages=(packages rpios/packages)
        made_of=(packages rpios/{packages,preferences,archive} flavour.sh "$archive_key")
        ;;
    *) echo "no such flavour: $flavour" >&2 && exit 1 ;;
    esac
}

# What there is to fetch, anew. Afterwards apt sees the archives of the flavour, and those
# only, and `sources` is their list: the build root's own apt never hears of Raspberry Pi's.
# What that takes is in a folder: update_lists FOLDER
update_lists() {
    sources=/etc/apt/sources.list
    if [[ $flavour == debian ]]; then
        apt-get update -qq
    else
        rpios/archive "$1/apt" "$archive_key" "$sources"
        sources=$1/apt/sources.list
        export APT_CONFIG=$1/apt/apt.conf
    fi
}
