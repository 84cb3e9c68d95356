//! Where the bundle of `doorstation update` comes from: a file, a USB stick, the network.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::update::{Failure, only_root, tell};
use crate::update::fetch::{self, Fetched, Order};
use crate::update::{LARGEST, stick};

/// Where bundles from the network are kept until they are installed.
const FETCHED: &str = "/data/update";

/// Where a bundle comes from, and how it is told.
#[derive(clap::Args)]
pub(super) struct Source {
    /// A file (`*.raucb`), or where it is fetched from: `https://...`.
    #[arg(value_name = "FILE|URL", required_unless_present = "usb")]
    from: Option<String>,

    /// The newest `doorstation-VERSION.raucb` on a USB stick.
    #[arg(long, conflicts_with = "from")]
    pub(super) usb: bool,

    /// Also one that is not newer than what runs.
    #[arg(long)]
    pub(super) force: bool,

    /// An authority to trust when it is fetched, besides the public ones: a PEM file.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Print what happens as JSON, one object a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// A bundle, and what has to live as long as it is read.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) fetched: bool,
    _stick: Option<stick::OnStick>,
}

/// What was meant; what comes from the network is fetched first.
pub(super) fn find(source: &Source) -> Result<Found, Failure> {
    if source.usb {
        let stick = stick::find().map_err(|error| Failure {
            code: "stick",
            words: error.to_string(),
        })?;
        return Ok(Found {
            path: stick.bundle.clone(),
            fetched: false,
            _stick: Some(stick),
        });
    }
    let from = source.from.as_deref().unwrap_or_default();
    let path = match from.contains("://") {
        true => fetch(from, source)?,
        // RAUC's service has a folder of its own to begin with.
        false => std::path::absolute(from).map_err(|error| Failure {
            code: "file",
            words: format!("{from}: {error}"),
        })?,
    };
    Ok(Found {
        // Perhaps by an earlier `check`.
        fetched: path.starts_with(FETCHED),
        path,
        _stick: None,
    })
}

fn fetch(url: &str, source: &Source) -> Result<PathBuf, Failure> {
    only_root("fetches an update")?;
    let ca = source.ca.as_ref().map(|file| {
        std::fs::read(file).map_err(|error| Failure {
            code: "certificate",
            words: format!("{}: {error}", file.display()),
        })
    });
    let order = Order {
        url: url.to_owned(),
        folder: FETCHED.into(),
        extra_ca_pem: ca.transpose()?,
        largest: LARGEST,
    };
    let json = source.json;
    let mut last = None;
    let mut told = |fetched: Fetched| {
        let percent = fetched.of.map(|of| fetched.bytes * 100 / of.max(1));
        // A line for each tenth; where the length is not known, for each 10 MB.
        let mark = percent.unwrap_or(fetched.bytes / 1_000_000) / 10;
        if last != Some(mark) {
            last = Some(mark);
            tell(&fetching(fetched, percent, json));
        }
    };
    let mut got = None;
    let ran = super::in_runtime(async {
        got = Some(fetch::fetch(&order, &mut told).await);
        Ok(())
    });
    match (ran, got) {
        (Ok(()), Some(got)) => Ok(got?),
        (Err(error), _) => Err(Failure {
            code: "failed",
            words: format!("{error:#}"),
        }),
        (Ok(()), None) => Err(Failure {
            code: "failed",
            words: "nothing was fetched".to_owned(),
        }),
    }
}

fn fetching(fetched: Fetched, percent: Option<u64>, json: bool) -> String {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    if json {
        let line = json!({ "event": "fetch", "bytes": fetched.bytes, "of": fetched.of });
        return format!("{line}\n");
    }
    match (percent, fetched.of) {
        (Some(percent), Some(of)) => format!(
            "{percent:3} %  fetching, {} of {} MB\n",
            megabytes(fetched.bytes),
            megabytes(of)
        ),
        _ => format!("fetching, {} MB\n", megabytes(fetched.bytes)),
    }
}

/// Removes what was fetched: it is installed.
pub(super) fn forget() {
    fetch::forget(Path::new(FETCHED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetching_is_told_with_and_without_a_length() {
        let fetched = Fetched {
            bytes: 36_400_000,
            of: Some(364_000_000),
        };
        assert_eq!(
            fetching(fetched, Some(10), false),
            " 10 %  fetching, 36 of 364 MB\n"
        );
        let fetched = Fetched {
            of: None,
            ..fetched
        };
        assert_eq!(fetching(fetched, None, false), "fetching, 36 MB\n");
        assert_eq!(
            fetching(fetched, None, true),
            "{\"bytes\":36400000,\"event\":\"fetch\",\"of\":null}\n"
        );
    }
}
