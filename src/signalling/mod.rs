//! The signalling seam: how calls reach other people.
//!
//! An adapter owns one account. It takes [`Order`]s for its legs and sends
//! [`Input`](crate::call::Input)s to the station's inbox. It decides nothing about
//! calls; it owns everything about being connected: login, renewal, WebSocket,
//! retries, keep-alive of calls (audit).

pub mod backoff;
pub mod kandy;

use crate::call::{LegId, SignalOrder};

/// What the station wants of the adapter that owns the leg.
pub type Order = (LegId, SignalOrder);
