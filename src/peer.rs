//! Who may use a Unix socket: the kernel says who is at the other end
//! (`SO_PEERCRED`), and no message can say otherwise.

use std::fs;

use tokio::net::unix::UCred;

/// Users and groups that may use a socket.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Names of users.
    pub users: Vec<String>,
    /// Names of groups, whose members are all allowed.
    pub groups: Vec<String>,
}

impl Allowed {
    /// Whether `peer` may: root, our own user, or one of those named. The machine's
    /// own lists are read each time, so that a person taken off them is off at once.
    pub fn permits(&self, peer: UCred) -> bool {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        peer.uid() == 0
            || peer.uid() == rustix::process::geteuid().as_raw()
            || self.names(
                peer.uid(),
                peer.gid(),
                &read("/etc/passwd"),
                &read("/etc/group"),
            )
    }

    /// By the lines of passwd (`name:x:uid:gid:...`) and group (`name:x:gid:members`).
    fn names(&self, uid: u32, gid: u32, passwd: &str, group: &str) -> bool {
        let user = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
        });
        if user.is_some_and(|user| self.users.iter().any(|allowed| allowed == user)) {
            return true;
        }
        group.lines().any(|line| {
            let mut fields = line.split(':');
            let (Some(name), Some(id), members) = (fields.next(), fields.nth(1), fields.next())
            else {
                return false;
            };
            let mut members = members.unwrap_or_default().split(',');
            self.groups.iter().any(|allowed| allowed == name)
                && (id.parse() == Ok(gid) || user.is_some_and(|user| members.any(|m| m == user)))
        })
    }
}

/// Whether this process is root's.
pub fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of a group; `None` where this machine has none of this name.
pub fn group_id(name: &str) -> Option<u32> {
    id_of(name, &fs::read_to_string("/etc/group").unwrap_or_default())
}

/// By the lines of group (`name:x:gid:members`).
fn id_of(name: &str, group: &str) -> Option<u32> {
    group.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nstation:x:990:980::/:/usr/sbin/nologin\n\
                          anna:x:1000:1000::/home/anna:/bin/sh\nben:x:1001:1001::/:/bin/sh\n";
    const GROUP: &str = "door:x:970:anna,carol\nben:x:1001:\nodd\n:::\n";

    fn permits(users: &[&str], groups: &[&str], uid: u32, gid: u32) -> bool {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        let allowed = Allowed {
            users: names(users),
            groups: names(groups),
        };
        allowed.names(uid, gid, PASSWD, GROUP)
    }

    #[test]
    fn users_by_name_and_members_of_groups_may() {
        assert!(permits(&["station"], &["door"], 990, 980));
        assert!(permits(&["station"], &["door"], 1000, 1000), "a member");
        assert!(permits(&[], &["door"], 1001, 970), "by the main group");
    }

    #[test]
    fn a_group_is_found_by_its_name() {
        assert_eq!(id_of("door", GROUP), Some(970));
        assert_eq!(id_of("doo", GROUP), None);
        assert_eq!(id_of("odd", GROUP), None);
    }

    #[test]
    fn nobody_else_may() {
        assert!(!permits(&["station"], &["door"], 1001, 1001));
        assert!(!permits(&["station"], &["door"], 4711, 4711), "unknown");
        assert!(!permits(&[], &[], 990, 980));
        assert!(
            !permits(&["carol"], &[], 1000, 1000),
            "named, but not this uid"
        );
    }
}
