//! Does it do what `docs/kandy-link.md` says? One test for each row of its tables
//! and checklists that no other test proves, named after the row, through real
//! sockets. Where each row is proved (`g` is `tests/gateway_calls`, `c`
//! `tests/kandy_client`, here is this folder):
//!
//! | row | what | proved by |
//! |---|---|---|
//! | 2 | `basic` in any case, JSON on every reply, its wrapper | here `r2_*`; replay in `wire_gateway`; g `access`, `limits` |
//! | 3.1, 3.2, 3.3 | subscribe, renew, unsubscribe | here `r3_*`; replay in `wire_gateway`; g `sockets` |
//! | 4 | ping, drop, queue, takeover, `gone` | g `sockets`; `browser_outcomes` |
//! | 5.1 | make | here `r5_1_*`; g `outcomes` |
//! | 5.3 | ringing | g `outcomes` (sent, and not sent) |
//! | 5.4 | answer | here `r5_4_*`; g `outcomes` (second device) |
//! | 5.5 | reject, forward | here `r5_5_*`; g `outcomes` |
//! | 5.6 | end, cancel | here `r5_6_*`; g `outcomes` |
//! | 5.7, 5.8 | offer and answer in a call, glare | here `r5_7_*`, `r5_8_*`; g `outcomes` |
//! | 5.9 | audit | here `r5_9_*`; broker's own tests (silence) |
//! | 5.10 | state | g `outcomes` |
//! | 5.11, 5.12, 5.13 | trickle, custom headers, transfer | here |
//! | 6.1, 6.2, 6.3 | envelope, parties, session | here `r6_*` |
//! | 6.4 | each event, and to whom | here `r6_4_*`; c `calls` (as the receiver) |
//! | 6.5 | each end code | here `r6_5_*` |
//! | 7.1 - 7.12 | descriptions, offered and answered | here `r7_*` (in text); `rtc_*`, `browser_*` (with media) |
//! | 10.1 - 10.9 | a server's list | here and g: the tests whose name has the row |
//! | 11.1 | register, renew, come back | c `r11_1_*`; session's own tests |
//! | 11.2 | ping, unknown events, repeats | c `r11_2_*` |
//! | 11.3 | audit every 25 to 30 s, 42 ends | c `r11_3_*`; legs' own tests |
//! | 11.4 | complete SDP, two transports, port 0 | here `r7_1_*`, `r7_2_*`, `r7_12_r11_4_*` |
//! | 11.5 | `callEnd` at any time, media supervised | c `r11_5_*`; here `r11_5_*`; `rtc_many` |
//! | 11.6 | own hold | here `r7_5_r7_6_r11_6_*`; `rtc_loopback`, `browser_hold` |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../gateway_bench/mod.rs"]
mod gateway_bench;

mod events;
mod replies;
mod requests;
mod sdp;
