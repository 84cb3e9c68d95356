//! The pure core of a station's calls: no I/O, no clock, no async.

mod ids;
mod input;
mod output;
mod state;
mod view;

pub use ids::{AccountId, Address, CallId, LegId, Sdp};
pub use input::{
    Button, Connection, Device, Failure, Figures, Incoming, Input, Media, Request, Signal, Target,
    Wish,
};
pub use output::{Event, Flow, MediaOrder, Output, SignalOrder};
pub use state::{Direction, Record, State};
pub use view::{CallView, LastCall, View};
