//! Under which names and addresses the station is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The names that a station always has: its host name, the same under `.local`
/// (multicast DNS), `doorstation.local`, `localhost`.
pub(in crate::gateway) fn host_names() -> BTreeSet<String> {
    let mut names = BTreeSet::from(["localhost".to_owned(), "doorstation.local".to_owned()]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    if is_name(&host) {
        if !host.contains('.') {
            names.insert(format!("{host}.local"));
        }
        names.insert(host);
    }
    names
}

/// The addresses under which a listener on `listen` is reached now.
pub(in crate::gateway) fn listening_addresses(listen: IpAddr) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::from([
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ]);
    if !listen.is_unspecified() {
        addresses.insert(listen);
        return addresses;
    }
    let Ok(interfaces) = getifaddrs() else {
        return addresses;
    };
    for interface in interfaces.filter(|i| i.flags.contains(InterfaceFlags::IFF_UP)) {
        let Some(address) = interface.address else {
            continue;
        };
        if let Some(v4) = address.as_sockaddr_in() {
            addresses.insert(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            // A link-local address needs a zone, which no browser takes in a URL.
            if !v6.ip().is_unicast_link_local() {
                addresses.insert(IpAddr::V6(v6.ip()));
            }
        }
    }
    addresses
}

/// The address of this machine towards its network; `None` without one.
pub(in crate::gateway) fn outward_address() -> Option<IpAddr> {
    /// A documentation address (RFC 5737): only the routing table is asked, a UDP
    /// socket that connects sends nothing.
    const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether `name` can be a DNS name in a certificate.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::{host_names, is_name, listening_addresses, outward_address};

    #[test]
    fn a_station_is_always_reached_as_localhost_and_doorstation_local() {
        let names = host_names();
        assert!(names.contains("localhost") && names.contains("doorstation.local"));
    }

    #[test]
    fn a_listener_on_one_address_is_not_reached_on_others() {
        let addresses = listening_addresses([192, 0, 2, 1].into());
        assert_eq!(addresses.len(), 3, "loopback twice and itself");
    }

    #[test]
    fn the_address_that_people_are_told_is_in_the_certificate() {
        let everywhere = listening_addresses([0, 0, 0, 0].into());
        // A machine without a network has none to tell.
        let told = outward_address();
        assert!(
            told.is_none_or(|told| everywhere.contains(&told)),
            "{told:?} not in {everywhere:?}"
        );
    }

    #[test]
    fn what_is_no_name_does_not_get_into_a_certificate() {
        for (name, good) in [
            ("door.example.org", true),
            ("a-b_c", true),
            ("", false),
            ("a..b", false),
            ("-a", false),
            ("a b", false),
            ("täst", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
