//! The kinds of messages that a person may have to act on: the journal's MESSAGE_ID.
//!
//! `systemd/doorstation.catalog` explains each to `journalctl -x`. An id is 128 random
//! bits, made once; it is never given to another kind, because people search for it.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $id;)*

        /// Every kind: its name here, and its id as 32 hexadecimal digits.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $id)),*];
    };
}

kinds! {
    /// A visitor pressed a button.
    PRESSED = "20aa354721fd4090892a5bc30ca36cef";
    /// Somebody calls the door.
    CALL_INCOMING = "3007ee5760fc4f52a0cb8a0907e31e59";
    /// A call went from one state to the next.
    CALL_CHANGED = "e734371b2cb14723971c869a51fba1b9";
    /// Something in a call did not work.
    CALL_FAULT = "fcd308b3fa244e7b8bf865daa7589923";
    /// A call is over.
    CALL_OVER = "bab6a03a13204ed7aee9b597aa3ea820";
    /// How a call was, in figures.
    CALL_FIGURES = "0fdb001155034642856ea47d27a1d2ec";
    /// A button or request could not be carried out.
    DENIED = "6262f7c93adb4e2db85fc0d1d4242778";
    /// A camera, a sound device or the panel does not work.
    DEVICE_FAILED = "89c94c69ecc74afb92e882e03d43cd79";
    /// A device works again.
    DEVICE_RESTORED = "2687489c27184f0e8cb3104abec7616a";
    /// The station is logged in and can ring.
    CONNECTED = "42a5a0f2bbd542199c1d74f5e641322f";
    /// The server of an account cannot be reached.
    CONNECTION_LOST = "f21a345bce8d474a8b5a7369169dab8d";
    /// The server refuses the login of an account.
    LOGIN_REFUSED = "e9fe07b1d7b44d1cbc1f7fa56476c92a";
    /// The door was released.
    DOOR_OPENED = "75a923404e6a4e6994d3915dc8de3a2c";
    /// The door was not released although somebody asked.
    DOOR_REFUSED = "6c3836c791f34f68ba13fb699d6918b9";
    /// The door is not released any more.
    DOOR_CLOSED = "60f8b5ca24f44623a1d81ea2114a9551";
    /// The door itself was opened or closed.
    DOOR_CONTACT = "b4c64e20293e42f5b79602b0a766d778";
    /// Something is wrong with the door.
    DOOR_ALARM = "4a6ed82778524b2990382bbe15e3cfed";
    /// An alarm of the door is over.
    DOOR_ALARM_OVER = "1742be71ac1041769658ff0c25e2109b";
    /// The station is up.
    STATION_UP = "ed4a25e081c94262b7eb4014ae1eff20";
    /// The station stops because it was told to.
    STATION_STOPPING = "a7b3b8f15619463d9b51c7cfc13c323c";
    /// A part of the station ended by itself.
    PART_ENDED = "6433add015f540c69a2171e17deddf09";
    /// A part of the station hangs.
    LOOP_STUCK = "6f2c657412f74a7ca3d57822b6480059";
    /// The relay guardian is gone.
    RELAY_LOST = "7af3d6e78e53450ea5f5165e9fefa00f";
    /// The relay guardian is there.
    RELAY_BACK = "edec70d973d84efab4a5eff779ab2ddd";
    /// The relay is locked after tampering.
    RELAY_LOCKED = "9577693f3809463ea72985b57b6e45f0";
    /// Another configuration is taken over.
    RELOADED = "b7389c2d63d04f9a88392c092f12308b";
    /// Another configuration waits for the end of a call.
    RELOAD_DEFERRED = "cda4444ddd50460ab50f7f54a097295d";
    /// Another configuration has mistakes, or does not start.
    RELOAD_REFUSED = "cecfbb1605d24cc29b25884a90686055";
    /// A part of another configuration needs a restart.
    RELOAD_INCOMPLETE = "d3963bc618694acdae8d0f3a8b4f769d";
    /// One thing was told more often than the log takes.
    LOG_FLOOD = "5ed0a4cbf0b14cf58aa1a1d1f2c8a6d3";
}
