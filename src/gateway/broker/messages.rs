//! What goes into the broker and what comes out of it.

use std::time::Duration;

use crate::wire::{CallControlRequest, CustomParameter, Notification};

/// One WebSocket connection; never used twice in the life of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What a logged-in user asks over REST.
#[derive(Clone, Debug)]
pub enum Request {
    /// 3.1: a new subscription.
    Subscribe(Wishes),
    /// 3.2: go on with one.
    Renew(SubscriptionName, Wishes),
    /// 3.3: end one.
    Unsubscribe(SubscriptionName),
    /// 5.1 to 5.12, on the leg named; `callStart` names none.
    Control {
        /// The user's own leg.
        leg: String,
        /// What to do.
        request: CallControlRequest,
    },
    /// 5.1: call somebody.
    Start(Start),
    /// 5.5: reject a ringing leg.
    Reject {
        /// The user's own leg.
        leg: String,
    },
    /// 5.5: let somebody else be rung instead.
    Forward {
        /// The user's own leg.
        leg: String,
        /// Whom.
        to: String,
    },
    /// 5.6: end or cancel.
    End {
        /// The user's own leg.
        leg: String,
        /// The client's `reasonText`.
        reason: Option<String>,
    },
    /// 5.10: the state of a leg.
    State {
        /// The user's own leg.
        leg: String,
    },
}

/// How a request names a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionName {
    /// By the id that the gateway gave.
    Id(String),
    /// By the client's own name for it (3.41 and later).
    Correlator(String),
}

/// What a client wants of its subscription.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// How long it shall hold without a renewal.
    pub expires: Duration,
    /// The services asked for; all are granted in name.
    pub service: Vec<String>,
    /// Whether the user's other subscriptions shall end.
    pub force_log_out: bool,
    /// The client's own name for the subscription.
    pub correlator: Option<String>,
}

/// A new call.
#[derive(Clone, Debug)]
pub struct Start {
    /// The name that the caller's application gave, if any.
    pub display_name: Option<String>,
    /// The callee as written by the client.
    pub to: String,
    /// The offer; absent asks the callee to make it.
    pub sdp: Option<String>,
    /// Free name/value pairs for the callee.
    pub custom_parameters: Vec<CustomParameter>,
}

/// What happens to sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client has got everything up to this sequence number.
    Confirmed(SocketId, u64),
    /// The socket is gone.
    Lost(SocketId),
    /// A deadline has come.
    Timeout,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A subscription was made or renewed.
    Subscribed(Granted),
    /// Done.
    Done,
    /// The call is under way.
    Started {
        /// The caller's own leg.
        leg: String,
    },
    /// The state of a leg, in the words of 5.10.
    State(&'static str),
    /// It cannot be done.
    Refused(Refusal),
}

/// A subscription as granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its id: last element of its path and of its notification channel.
    pub id: String,
    /// Whose.
    pub user: String,
    /// For how long.
    pub expires: Duration,
    /// The services.
    pub service: Vec<String>,
    /// Whether this answers a renewal.
    pub renewed: bool,
}

/// Why a request cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such subscription of this user.
    NoSubscription,
    /// No such leg of this user, or it is over.
    NoSession,
    /// The same, as the answer to the question for its state.
    SessionExpired,
    /// Another offer of this call is under way.
    Glare,
    /// The request does not fit the state of its leg.
    WrongState,
    /// The station has no room for another call.
    NoRoom,
    /// This user has too many subscriptions.
    TooManyClients,
    /// Something that must be there is missing.
    Incomplete,
    /// Something is longer than anybody needs.
    TooLarge,
}

/// What the gateway shall do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write `notification` to `socket`.
    Notify {
        /// Where to.
        socket: SocketId,
        /// To be confirmed by [`Event::Confirmed`] once the client has it.
        sequence: u64,
        /// What; its `time` is still empty.
        notification: Box<Notification>,
    },
    /// Close `socket`.
    Close(SocketId, Close),
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Its subscription is over: do not come back.
    Finished,
    /// A newer socket has taken its channel.
    Replaced,
}
