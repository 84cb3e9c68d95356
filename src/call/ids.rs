//! Names of things: calls, legs, accounts, people.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// One call as an application sees it; a UUID, never on the wire.
    CallId
}
name! {
    /// One branch of a call towards one address: ringing two people is one call
    /// with two legs, of which one survives the answer. Unique in this process.
    LegId
}

impl LegId {
    /// The leg of a call that comes from outside, which will be `call`: an adapter names
    /// it, and the core takes the name over.
    pub fn incoming(call: &str) -> Self {
        Self::new(format!("{call}{INCOMING}"))
    }

    /// Of which call it is: legs are named after it, so that adapters can tell in their
    /// logs.
    pub fn call(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(call, _)| call)
    }

    /// The name of the call that begins with this leg, if its adapter gave it one.
    pub(super) fn begins(&self) -> Option<CallId> {
        self.0.strip_suffix(INCOMING).map(CallId::new)
    }
}

/// What follows a call's name in the name of a leg that came from outside.
const INCOMING: &str = "/in";

name! {
    /// One configured login at one Kandy Link server, by its name in the
    /// configuration (`home` is the embedded gateway).
    AccountId
}
name! {
    /// A user as `local@domain`, without scheme.
    Address
}

/// A session description (RFC 8866), opaque to everything but `media`.
///
/// Its `Debug` shows the length only: descriptions carry addresses and keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Sdp(Arc<str>);

impl Sdp {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, lines ending in CRLF.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sdp({} bytes)", self.0.len())
    }
}
