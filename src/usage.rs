//! What this process takes of the machine, and what is left of the disk.

use std::fs;
use std::path::Path;

/// Memory of this process that is in RAM, bytes; `None` where `/proc` cannot be read.
pub fn memory() -> Option<u64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Space left for us on the file system of `path`, bytes.
pub fn free_space(path: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(path).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

/// The line `VmRSS:    1234 kB` of proc(5), `/proc/pid/status`.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_line_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident("VmRSS:\t1 MB\n"), None);
        assert!(memory().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_space() {
        assert!(free_space(Path::new("/")).is_some());
        assert_eq!(free_space(Path::new("/no/such/folder")), None);
    }
}
