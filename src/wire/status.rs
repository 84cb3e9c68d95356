//! SPiDR status codes (section 2), as far as a station or our gateway uses them.

/// Done.
pub const OK: i32 = 0;
/// Done, subscription updated (reply to a renewal).
pub const SUBSCRIPTION_UPDATED: i32 = 2;
/// Bad password or not authorised.
pub const NOT_AUTHORISED: i32 = 4;
/// The body is missing or not understood.
pub const INVALID_BODY: i32 = 5;
/// Too many clients.
pub const TOO_MANY_CLIENTS: i32 = 19;
/// Something broke inside the server.
pub const INTERNAL_ERROR: i32 = 26;
/// The subscription does not exist (any more).
pub const NO_SUBSCRIPTION: i32 = 39;
/// The call session does not exist (any more).
pub const NO_SESSION: i32 = 42;
/// The user was logged out on purpose, for another client of the account.
pub const FORCED_LOG_OUT: i32 = 44;
/// Session not found or expired: reply to GET of a call.
pub const SESSION_EXPIRED: i32 = 47;
/// Two offers crossed; `retryAfter` says when to try again.
pub const GLARE: i32 = 49;
/// The request makes no sense.
pub const BAD_REQUEST: i32 = 1004;
/// The server is busy; `retryAfter` says when to try again.
pub const BUSY: i32 = 503;
