//! Makes bundles as `board/image/mkcard` does, with Debian's `rauc` and `openssl`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use doorstation::update::rauc::Rauc;
use tempfile::TempDir;

/// What bundles are made for.
pub(crate) const DOOR: &str = "doorstation-debian-arm64";
/// Bytes of the image in a bundle; noise, so that it stays as large.
pub(crate) const IMAGE: usize = 300_000;

/// Authorities, signing keys and a place for bundles.
pub(crate) struct Workshop {
    _keep: TempDir,
    pub(crate) folder: PathBuf,
}

/// What a bundle is to be.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) version: &'static str,
    pub(crate) compatible: &'static str,
    pub(crate) format: &'static str,
    /// Whose key signs it: `ours`, `foreign` or `expired`.
    pub(crate) signed_by: &'static str,
}

pub(crate) const GOOD: Recipe = Recipe {
    version: "0.2.0",
    compatible: DOOR,
    format: "verity",
    signed_by: "ours",
};

impl Workshop {
    /// `None`, with a word, where a program is missing, which is a failure where nothing
    /// may be skipped.
    pub(crate) fn open() -> Option<Self> {
        for program in ["rauc", "mksquashfs", "openssl"] {
            if !has(program) {
                let must_run = ["CI", "DOORSTATION_TEST_ALL"];
                let must_run = must_run.iter().any(|name| std::env::var_os(name).is_some());
                assert!(!must_run, "{program} is missing: run script/setup");
                eprintln!("skipped: {program} is missing: run script/setup");
                return None;
            }
        }
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().canonicalize().unwrap();
        let workshop = Self {
            _keep: keep,
            folder,
        };
        for name in ["ours", "foreign"] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/image/mkauthority");
            let folder = workshop.folder.join(name);
            run(Command::new("sh").arg(script).arg(folder));
        }
        workshop.make_expired();
        Some(workshop)
    }

    /// A key of our authority whose certificate ended yesterday.
    fn make_expired(&self) {
        let (ours, folder) = (self.folder.join("ours"), self.folder.join("expired"));
        fs::create_dir(&folder).unwrap();
        run(Command::new("openssl").current_dir(&folder).args([
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-keyout",
            "sign.key",
            "-subj",
            "/CN=too late",
            "-out",
            "sign.csr",
        ]));
        let extensions = "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                          extendedKeyUsage=codeSigning\n";
        fs::write(folder.join("extensions"), extensions).unwrap();
        run(Command::new("openssl")
            .current_dir(&folder)
            .args([
                "x509",
                "-req",
                "-in",
                "sign.csr",
                "-days",
                "-1",
                "-extfile",
                "extensions",
            ])
            .args(["-out", "sign.crt", "-CA"])
            .arg(ours.join("authority.crt"))
            .arg("-CAkey")
            .arg(ours.join("authority.key")));
    }

    /// The configuration of a door that trusts our authority.
    pub(crate) fn config(&self) -> PathBuf {
        let file = self.folder.join("system.conf");
        let keyring = self.folder.join("ours/authority.crt");
        let text = format!(
            "[system]\ncompatible={DOOR}\nbootloader=noop\nbundle-formats=verity\n\
             [keyring]\npath={}\ncheck-purpose=codesign\n",
            keyring.display()
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// RAUC of that door, as far as it reads bundles.
    pub(crate) fn rauc(&self) -> Rauc {
        Rauc::with(&self.config(), &self.folder, [])
    }

    /// A bundle called `name.raucb`.
    pub(crate) fn bundle(&self, name: &str, recipe: Recipe) -> PathBuf {
        let content = self.folder.join(format!("{name}.content"));
        fs::create_dir(&content).unwrap();
        let noise: Vec<u8> = noise().take(IMAGE).collect();
        fs::write(content.join("root.img"), noise).unwrap();
        let manifest = format!(
            "[update]\ncompatible={}\nversion={}\n[bundle]\nformat={}\n\
             [image.rootfs]\nfilename=root.img\n",
            recipe.compatible, recipe.version, recipe.format
        );
        fs::write(content.join("manifest.raucm"), manifest).unwrap();
        // Without a keyring RAUC does not look at what it signs with.
        let config = self.folder.join("maker.conf");
        let text = format!("[system]\ncompatible={DOOR}\nbootloader=noop\n");
        fs::write(&config, text).unwrap();
        let bundle = self.folder.join(format!("{name}.raucb"));
        let keys = self.folder.join(recipe.signed_by);
        run(Command::new("rauc")
            .arg("--conf")
            .arg(&config)
            .arg("--cert")
            .arg(keys.join("sign.crt"))
            .arg("--key")
            .arg(keys.join("sign.key"))
            .arg("bundle")
            .args([&content, &bundle]));
        fs::set_permissions(&bundle, PermissionsExt::from_mode(0o644)).unwrap();
        bundle
    }

    /// A copy of a bundle, changed.
    pub(crate) fn changed(
        &self,
        of: &Path,
        name: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> PathBuf {
        let mut bytes = fs::read(of).unwrap();
        change(&mut bytes);
        let file = self.folder.join(format!("{name}.raucb"));
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        file
    }
}

/// Bytes that no compressor makes less of, the same each time.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
}

pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

pub(crate) fn run(command: &mut Command) {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {ran:?}");
}
