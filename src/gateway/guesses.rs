//! Counts wrong passwords, for each user and address, and makes guessing slow.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong guesses of one user from one address that cost nothing: people mistype.
const FREE_FOR_USER: u32 = 5;
/// The same for all users together from one address.
const FREE_FOR_ADDRESS: u32 = 20;
/// After the free ones: 1 s, doubled each time, up to this.
const LONGEST: Duration = Duration::from_secs(60);
/// Forgotten after this long without an attempt.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Entries; the oldest give way. A LAN has fewer addresses.
const MAX_ENTRIES: usize = 1024;
/// Longest part of a user's name that is looked at.
const MAX_NAME: usize = 128;

type Key = (Option<String>, IpAddr);

#[derive(Debug, Default)]
pub(super) struct Guesses {
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    wrong: u32,
    last: Instant,
}

impl Entry {
    fn blocked_until(&self, free: u32) -> Option<Instant> {
        let over = self.wrong.checked_sub(free)?;
        let pause = Duration::from_secs(1u64 << over.min(6)).min(LONGEST);
        Some(self.last + pause)
    }
}

impl Guesses {
    /// Whether `user` may try again from `address`.
    pub(super) fn may_try(&self, user: &str, address: IpAddr, now: Instant) -> bool {
        keys(user, address)
            .iter()
            .all(|(key, free)| self.is_free(key, *free, now))
    }

    /// The same, for a user who has logged in before: what is tried with the names of
    /// others from the same address (a machine of many people, or our own) does not
    /// hold this one up.
    pub(super) fn may_return(&self, user: &str, address: IpAddr, now: Instant) -> bool {
        let [(of_user, free), _] = keys(user, address);
        self.is_free(&of_user, free, now)
    }

    fn is_free(&self, key: &Key, free: u32, now: Instant) -> bool {
        let entry = self.entries.get(key);
        let until = entry.and_then(|entry| entry.blocked_until(free));
        until.is_none_or(|until| until <= now)
    }

    /// An attempt begins: it counts as wrong until [`Guesses::right`], so that many
    /// at once do not slip through.
    pub(super) fn begin(&mut self, user: &str, address: IpAddr, now: Instant) {
        self.make_room(now);
        for (key, _) in keys(user, address) {
            let entry = self.entries.entry(key).or_insert(Entry {
                wrong: 0,
                last: now,
            });
            entry.wrong = entry.wrong.saturating_add(1);
            entry.last = now;
        }
    }

    /// The attempt was right: the user's count starts again, the address has one
    /// wrong guess less.
    pub(super) fn right(&mut self, user: &str, address: IpAddr) {
        let [(of_user, _), (of_address, _)] = keys(user, address);
        self.entries.remove(&of_user);
        if let Some(entry) = self.entries.get_mut(&of_address) {
            entry.wrong = entry.wrong.saturating_sub(1);
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.entries.len() + 2 <= MAX_ENTRIES {
            return;
        }
        self.entries.retain(|_, entry| entry.last + MEMORY > now);
        while self.entries.len() + 2 > MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.entries.remove(&oldest);
        }
    }
}

fn keys(user: &str, address: IpAddr) -> [(Key, u32); 2] {
    let user = user.chars().take(MAX_NAME).collect::<String>();
    let address = network(address);
    [
        ((Some(user.to_ascii_lowercase()), address), FREE_FOR_USER),
        ((None, address), FREE_FOR_ADDRESS),
    ]
}

/// What one host has to itself: an IPv4 address, or a whole IPv6 /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{FREE_FOR_ADDRESS, FREE_FOR_USER, Guesses, MAX_ENTRIES};
    use crate::clock;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 7));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 8));

    #[test]
    fn five_wrong_guesses_are_free_and_then_each_costs_twice_the_last() {
        let mut guesses = Guesses::default();
        let mut now = clock::now();
        for _ in 0..FREE_FOR_USER {
            assert!(guesses.may_try("alice", HERE, now));
            guesses.begin("alice", HERE, now);
        }
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!guesses.may_try("alice", HERE, now));
            now += Duration::from_secs(pause);
            assert!(guesses.may_try("alice", HERE, now), "after {pause} s");
            guesses.begin("alice", HERE, now);
        }
    }

    #[test]
    fn somebody_else_and_another_address_are_not_held_up() {
        let mut guesses = Guesses::default();
        let now = clock::now();
        for _ in 0..FREE_FOR_USER {
            guesses.begin("alice", HERE, now);
        }
        assert!(!guesses.may_try("ALICE", HERE, now));
        assert!(guesses.may_try("bob", HERE, now));
        assert!(guesses.may_try("alice", THERE, now));
    }

    #[test]
    fn the_right_password_starts_the_count_again() {
        let mut guesses = Guesses::default();
        let now = clock::now();
        for _ in 0..10 * FREE_FOR_ADDRESS {
            assert!(guesses.may_try("alice", HERE, now));
            guesses.begin("alice", HERE, now);
            guesses.right("alice", HERE);
        }
    }

    #[test]
    fn trying_many_names_from_one_address_is_slowed_too() {
        let mut guesses = Guesses::default();
        let now = clock::now();
        for i in 0..FREE_FOR_ADDRESS {
            guesses.begin(&format!("user{i}"), HERE, now);
        }
        assert!(!guesses.may_try("yet another", HERE, now));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut guesses = Guesses::default();
        let now = clock::now();
        for i in 0..10_000u32 {
            guesses.begin("alice", IpAddr::V4(Ipv4Addr::from(i)), now);
        }
        assert!(guesses.entries.len() <= MAX_ENTRIES);
    }
}
