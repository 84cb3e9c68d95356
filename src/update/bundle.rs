//! A bundle as a file, looked at before RAUC is asked: what it is, to whom it belongs, and
//! whether all of it is there.
//!
//! ```text
//!   squashfs, to a multiple of 4096 │ tree of hashes │ signature with the manifest (CMS) │ its length
//!   magic, length                   │                │                                   │ 8 bytes, BE
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::verity::BLOCK;
use super::{Contents, Error, Refusal};

/// The largest bundle, bytes: as much as a slot of the card holds, uncompressed.
pub const LARGEST: u64 = 1 << 30;
/// The largest signature, bytes; RAUC's own limit.
const LARGEST_SIGNATURE: u64 = 64 * 1024;
/// How a squashfs begins.
const MAGIC: &[u8] = b"hsqs";
/// Where in it its length stands, 8 bytes, little-endian.
const LENGTH_AT: usize = 40;
/// Bytes of the length of the signature.
const TRAILER: u64 = 8;

/// An open bundle.
pub(super) struct Bundle {
    file: File,
    path: PathBuf,
    /// Bytes before the signature: data and tree.
    signed: u64,
}

impl Bundle {
    /// Opens a regular file that only its owner, root or we, may change, without following
    /// a link anywhere in its path, and looks whether it has the form of a bundle.
    ///
    /// # Errors
    /// [`Error::Refused`], or the file cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        // A FIFO without a writer must not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = match openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(Refusal::Link.into()),
            // A socket.
            Err(Errno::NXIO) => return Err(Refusal::NotAFile("a socket").into()),
            Err(errno) => return Err(failed(path)(errno.into())),
        };
        let length = allowed(&file).map_err(failed(path))??;
        let mut bundle = Self {
            file,
            path: path.to_owned(),
            signed: 0,
        };
        bundle.signed = bundle.form(length).map_err(failed(path))??;
        Ok(bundle)
    }

    /// Looks at every block.
    ///
    /// # Errors
    /// [`Refusal::Damaged`], or the file cannot be read.
    pub(super) fn prove(&mut self, contents: &Contents) -> Result<(), Error> {
        let Some(tree) = &contents.tree else {
            return Err(Error::NotUnderstood(
                "rauc info tells no tree of hashes of a bundle of the format verity".to_owned(),
            ));
        };
        let data = self.signed.checked_sub(tree.size);
        let Some(data) = data.filter(|data| data.is_multiple_of(BLOCK)) else {
            return Err(Refusal::Damaged.into());
        };
        let mut reader = io::BufReader::with_capacity(1 << 20, &self.file);
        let proved = tree.proves(&mut reader, data / BLOCK);
        match proved.map_err(failed(&self.path))? {
            true => Ok(()),
            false => Err(Refusal::Damaged.into()),
        }
    }

    /// Sees to it that the file and its name survive a loss of power.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        sync(&self.file, &self.path).map_err(failed(&self.path))
    }

    /// How many bytes stand before the signature.
    fn form(&mut self, length: u64) -> io::Result<Result<u64, Refusal>> {
        let mut head = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(96).read_to_end(&mut head)?;
        if !head.starts_with(MAGIC) {
            return Ok(Err(Refusal::NotABundle));
        }
        let field = head.get(LENGTH_AT..LENGTH_AT + 8);
        let Some(squashfs) = field.and_then(|field| field.try_into().ok()) else {
            return Ok(Err(Refusal::Truncated));
        };
        let squashfs = u64::from_le_bytes(squashfs);
        if squashfs > length {
            return Ok(Err(Refusal::Truncated));
        }
        if length <= squashfs.next_multiple_of(BLOCK) {
            return Ok(Err(Refusal::Unsigned));
        }
        let mut trailer = [0; TRAILER as usize];
        self.file.seek(SeekFrom::Start(length - TRAILER))?;
        self.file.read_exact(&mut trailer)?;
        let signature = u64::from_be_bytes(trailer);
        if signature == 0 || signature > LARGEST_SIGNATURE {
            return Ok(Err(Refusal::Truncated));
        }
        match length.checked_sub(TRAILER + signature) {
            Some(signed) if signed >= squashfs => Ok(Ok(signed)),
            _ => Ok(Err(Refusal::Truncated)),
        }
    }
}

/// How long the file is, if it may be looked at.
fn allowed(file: &File) -> io::Result<Result<u64, Refusal>> {
    let known = file.metadata()?;
    let kind = known.file_type();
    let other = if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else if !kind.is_file() {
        Some("something else")
    } else {
        None
    };
    if let Some(other) = other {
        return Ok(Err(Refusal::NotAFile(other)));
    }
    let us = rustix::process::geteuid().as_raw();
    const OTHERS_WRITE: u32 = 0o022;
    if ![0, us].contains(&known.uid()) || known.mode() & OTHERS_WRITE != 0 {
        return Ok(Err(Refusal::Shared));
    }
    Ok(match known.len() {
        0 => Err(Refusal::Empty),
        length if length > LARGEST => Err(Refusal::TooLarge(length, LARGEST)),
        length => Ok(length),
    })
}

/// Writes a file and its folder to the disk. On a stick that is mounted read-only there is
/// nothing to write.
pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
        result => result?,
    }
    let folder = path.parent().filter(|folder| folder != &Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    let file = path.to_owned();
    move |source| Error::File {
        file: file.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn code(path: &Path) -> &'static str {
        match Bundle::open(path) {
            Ok(_) => "ok",
            Err(error) => error.code(),
        }
    }

    /// Something with the outline of a bundle.
    fn outline() -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&5000_u64.to_le_bytes());
        bytes.extend([7; 100]);
        bytes.extend(100_u64.to_be_bytes());
        bytes
    }

    fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
        let path = folder.join("door.raucb");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        path
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_opened() {
        let (_keep, folder) = folder();
        let good = file(&folder, &outline());
        assert_eq!(code(&good), "ok");
        assert_eq!(code(&folder), "not_a_file");
        assert_eq!(code(Path::new("/dev/null")), "not_a_file");
        assert_eq!(code(&folder.join("nothing")), "file");
        let link = folder.join("link");
        symlink(&good, &link).unwrap();
        assert_eq!(code(&link), "link");
        let beside = folder.join("beside");
        symlink(&folder, &beside).unwrap();
        assert_eq!(code(&beside.join("door.raucb")), "link");
        let socket = folder.join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(code(&socket), "not_a_file");
        let pipe = folder.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert_eq!(code(&pipe), "not_a_file");
        std::fs::set_permissions(&good, PermissionsExt::from_mode(0o664)).unwrap();
        assert_eq!(code(&good), "shared");
    }

    #[test]
    fn what_is_not_whole_is_named() {
        let (_keep, folder) = folder();
        assert_eq!(code(&file(&folder, b"")), "empty");
        assert_eq!(code(&file(&folder, b"hsqs")), "truncated");
        assert_eq!(code(&file(&folder, b"PK zip")), "not_a_bundle");
        let all = outline();
        assert_eq!(code(&file(&folder, &all[..4000])), "truncated");
        assert_eq!(code(&file(&folder, &all[..8192])), "unsigned");
        assert_eq!(code(&file(&folder, &all[..8250])), "truncated");
        let mut zeros = all.clone();
        zeros[8192..].fill(0);
        assert_eq!(code(&file(&folder, &zeros)), "truncated");
        let path = file(&folder, &all);
        let large = File::options().write(true).open(&path).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!(code(&path), "too_large");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_file_holds_it_is_judged_and_nothing_panics(
            cut in 0_usize..8400,
            changes in proptest::collection::vec((0_usize..8400, proptest::num::u8::ANY), 0..12),
        ) {
            let (_keep, folder) = folder();
            let mut bytes = outline();
            bytes.truncate(cut);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            let known = ["ok", "empty", "not_a_bundle", "truncated", "unsigned"];
            let code = code(&file(&folder, &bytes));
            proptest::prop_assert!(known.contains(&code), "{code}");
        }
    }
}
