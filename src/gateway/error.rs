//! Why a gateway cannot start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a gateway cannot start: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: choose another address, or stop what uses it")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Plain HTTP would carry passwords over the network.
    #[error(
        "plain HTTP on {address} would show passwords to the network: \
         listen on a loopback address (127.0.0.1), or use TLS"
    )]
    PlainBeyondLoopback {
        /// As configured.
        address: SocketAddr,
    },
    /// An address of a user is not `user@domain`.
    #[error("user {address:?} is not of the form name@{domain}")]
    UserAddress {
        /// As configured.
        address: String,
        /// The gateway's domain.
        domain: String,
    },
    /// Two users have the same address.
    #[error("user {address:?} is there twice: remove one")]
    DuplicateUser {
        /// As configured.
        address: String,
    },
    /// A password hash cannot be read.
    #[error("password hash of user {address:?} is not an argon2 PHC string ($argon2id$...)")]
    PasswordHash {
        /// Whose.
        address: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: check that it exists and who may {action} it", path.display())]
    File {
        /// `read`, `write`, `create`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A certificate or key is not usable.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The TLS library refuses the settings.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
}
