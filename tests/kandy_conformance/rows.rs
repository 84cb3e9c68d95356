//! Which test proves which row of the tables and checklists of `docs/kandy-link.md`, and
//! that each of these tests exists.

use std::collections::BTreeSet;
use std::path::Path;

const CALLS: &str = "tests/kandy_client/calls.rs";
const CONNECTION: &str = "tests/kandy_client/connection.rs";
const EVENTS: &str = "tests/kandy_conformance/events.rs";
const LEGS: &str = "src/signalling/kandy/legs/tests/upkeep.rs";
const OUTCOMES: &str = "tests/gateway_calls/outcomes.rs";
const REPLIES: &str = "tests/kandy_conformance/replies.rs";
const REQUESTS: &str = "tests/kandy_conformance/requests.rs";
const SDP: &str = "tests/kandy_conformance/sdp.rs";
const SESSION: &str = "src/signalling/kandy/session/tests.rs";
const SLOW: &str = "tests/kandy_conformance/slow_start.rs";
const SOCKETS: &str = "tests/gateway_calls/sockets.rs";

/// Row, file, test. A row may have several: the server's side, the station's, and the
/// one with media.
const PROOFS: &[(&str, &str, &str)] = &[
    (
        "1.1",
        "src/wire/address.rs",
        "every_row_of_the_normalisation_table_holds",
    ),
    (
        "2",
        REPLIES,
        "r2_r10_1_every_reply_is_json_in_its_wrapper_for_any_page",
    ),
    (
        "2",
        CONNECTION,
        "an_hmac_token_is_for_the_login_and_a_session_for_all_else",
    ),
    (
        "2",
        CONNECTION,
        "a_bearer_token_is_on_requests_and_on_the_socket",
    ),
    (
        "3.1",
        REPLIES,
        "r3_1_r10_2_the_reply_has_what_the_sdks_read",
    ),
    (
        "3.1",
        CONNECTION,
        "turn_credentials_are_refreshed_when_a_call_begins",
    ),
    (
        "3.2",
        "tests/wire_gateway.rs",
        "the_recorded_renewal_goes_the_same_way_here",
    ),
    (
        "3.2",
        SESSION,
        "a_day_passes_without_a_gap_in_the_registration",
    ),
    (
        "3.3",
        SOCKETS,
        "unsubscribing_ends_the_calls_of_the_subscription",
    ),
    (
        "3.4",
        CONNECTION,
        "r11_1_r11_2_it_logs_in_opens_its_socket_and_pings",
    ),
    (
        "4.1",
        CONNECTION,
        "r4_1_a_broken_socket_is_opened_again_without_a_new_login_and_calls_go_on",
    ),
    (
        "4.1",
        "tests/browser_drop.rs",
        "a_page_that_notices_late_learns_of_the_hold_and_of_the_end",
    ),
    (
        "4.1",
        "tests/browser_drop.rs",
        "a_page_that_notices_at_once_goes_on_as_before",
    ),
    (
        "4.2",
        CONNECTION,
        "r11_1_a_refused_upgrade_a_gone_and_a_close_with_1000_lead_to_a_new_login",
    ),
    (
        "5.1",
        REQUESTS,
        "r5_1_make_with_everything_that_an_sdk_may_add",
    ),
    ("5.1", REQUESTS, "r5_1_slow_start_goes_through"),
    (
        "5.1",
        SLOW,
        "r5_1_r6_4_a_call_without_an_offer_is_answered_with_one",
    ),
    (
        "5.3",
        OUTCOMES,
        "r5_3_the_caller_learns_of_ringing_once_and_the_answer_brings_the_sdp",
    ),
    ("5.4", REQUESTS, "r5_4_answer"),
    ("5.5", OUTCOMES, "r5_5_a_rejected_call_ends_on_both_sides"),
    (
        "5.5",
        OUTCOMES,
        "r5_5_a_ringing_call_is_forwarded_to_somebody_else",
    ),
    ("5.5", REQUESTS, "r5_5_reject_too_late"),
    ("5.6", OUTCOMES, "r5_6_a_cancelled_call_ends_on_both_sides"),
    ("5.6", REQUESTS, "r5_6_end_without_body_and_by_both_at_once"),
    (
        "5.7",
        OUTCOMES,
        "r5_7_hold_goes_over_and_the_second_offer_at_a_time_is_glare",
    ),
    ("5.7", REQUESTS, "r5_7_r10_8_an_offer_is_relayed_as_it_is"),
    (
        "5.7",
        SLOW,
        "r5_7_an_update_without_an_offer_is_answered_with_one",
    ),
    ("5.7", CALLS, "r5_7_crossing_updates_name_the_delay"),
    ("5.8", REQUESTS, "r5_8_only_the_other_end_answers_an_offer"),
    (
        "5.9",
        REQUESTS,
        "r5_9_audits_are_taken_from_the_first_moment",
    ),
    (
        "5.9",
        "src/gateway/broker/tests/calls.rs",
        "a_leg_without_an_audit_for_three_minutes_ends_the_call",
    ),
    ("5.10", REQUESTS, "r5_10_each_leg_has_a_state_for_its_owner"),
    (
        "5.10",
        CONNECTION,
        "a_call_that_the_server_forgot_while_the_socket_was_away_is_over",
    ),
    ("5.11", REQUESTS, "r5_11_trickle"),
    (
        "5.12",
        REQUESTS,
        "r5_12_r5_13_what_we_cannot_do_harms_no_call",
    ),
    (
        "5.13",
        REQUESTS,
        "r5_12_r5_13_what_we_cannot_do_harms_no_call",
    ),
    (
        "5.13",
        CALLS,
        "r5_13_forwards_and_transfers_at_the_far_end_are_survived",
    ),
    ("6.1", CALLS, "r11_2_a_repeated_notification_counts_once"),
    (
        "6.2",
        EVENTS,
        "r6_4_r10_5_every_event_of_a_long_call_is_complete",
    ),
    (
        "6.3",
        EVENTS,
        "r6_4_r10_5_every_event_of_a_long_call_is_complete",
    ),
    (
        "6.4",
        EVENTS,
        "r6_4_r10_5_every_event_of_a_long_call_is_complete",
    ),
    ("6.4", EVENTS, "r6_4_gone_has_nothing_but_its_envelope"),
    (
        "6.4",
        CALLS,
        "r6_4_each_event_is_its_signal_and_the_others_are_none",
    ),
    ("6.4", CALLS, "r6_4_another_device_answers"),
    ("6.5", EVENTS, "r6_5_each_ending_has_its_code"),
    (
        "6.5",
        CALLS,
        "r6_5_the_codes_of_the_server_reach_the_station",
    ),
    (
        "7.1",
        SDP,
        "r7_1_two_transports_for_a_page_that_never_bundles",
    ),
    ("7.2", SDP, "r7_2_a_page_that_called_without_its_camera"),
    (
        "7.3",
        SDP,
        "r7_3_r7_4_the_doors_offer_and_the_pages_answers",
    ),
    (
        "7.4",
        SDP,
        "r7_3_r7_4_the_doors_offer_and_the_pages_answers",
    ),
    ("7.5", SDP, "r7_5_the_page_holds_and_takes_back"),
    ("7.5", SDP, "r7_5_r7_6_r11_6_the_doors_own_hold"),
    ("7.6", SDP, "r7_6_later_answers_keep_role_and_transport"),
    ("7.7", SDP, "r7_7_r7_8_r7_9_transports_and_codecs"),
    ("7.8", SDP, "r7_7_r7_8_r7_9_transports_and_codecs"),
    ("7.9", SDP, "r7_7_r7_8_r7_9_transports_and_codecs"),
    ("7.10", SDP, "r7_10_form_and_streams"),
    ("7.11", SDP, "r7_11_candidates_that_cannot_be_used"),
    ("7.12", SDP, "r7_12_r11_4_no_early_media_and_no_trickle"),
    (
        "10.1",
        REPLIES,
        "r2_r10_1_every_reply_is_json_in_its_wrapper_for_any_page",
    ),
    (
        "10.1",
        "tests/gateway_calls/access.rs",
        "r10_1_any_page_may_use_the_kandy_routes_or_only_those_of_the_settings",
    ),
    (
        "10.2",
        SOCKETS,
        "r10_2_a_subscription_is_renewed_and_ended_by_id_and_by_correlator",
    ),
    (
        "10.3",
        SOCKETS,
        "r10_3_nonsense_in_a_frame_is_ignored_and_a_ping_is_not_answered",
    ),
    (
        "10.4",
        SOCKETS,
        "r10_4_what_happened_while_the_socket_was_away_comes_in_order_on_the_next",
    ),
    (
        "10.4",
        SOCKETS,
        "r10_4_a_second_socket_takes_the_channel_over",
    ),
    (
        "10.5",
        EVENTS,
        "r6_4_r10_5_every_event_of_a_long_call_is_complete",
    ),
    (
        "10.6",
        OUTCOMES,
        "r10_6_a_callee_that_never_says_ringing_is_taken_to_ring_after_a_second",
    ),
    (
        "10.7",
        OUTCOMES,
        "r10_7_every_client_of_the_callee_rings_and_those_that_lost_are_told",
    ),
    ("10.8", REQUESTS, "r5_7_r10_8_an_offer_is_relayed_as_it_is"),
    ("10.9", OUTCOMES, "r10_9_nobody_answers"),
    (
        "10.9",
        SOCKETS,
        "r10_9_a_subscription_that_is_not_renewed_ends_with_gone",
    ),
    (
        "11.1",
        CALLS,
        "r11_1_a_call_arrives_rings_is_answered_and_ended_by_them",
    ),
    (
        "11.1",
        CONNECTION,
        "r11_1_a_refused_upgrade_a_gone_and_a_close_with_1000_lead_to_a_new_login",
    ),
    (
        "11.2",
        CONNECTION,
        "r11_2_bad_frames_are_dropped_and_the_socket_lives_on",
    ),
    ("11.3", CALLS, "r11_3_an_audit_finds_that_the_call_is_over"),
    (
        "11.3",
        LEGS,
        "an_answered_call_is_audited_3_s_later_and_then_every_25_to_30_s",
    ),
    ("11.4", SDP, "r7_12_r11_4_no_early_media_and_no_trickle"),
    ("11.5", CALLS, "r11_5_the_other_end_ends_the_call"),
    (
        "11.5",
        SDP,
        "r11_5_a_call_whose_media_never_come_up_is_ended",
    ),
    ("11.6", SDP, "r7_5_r7_6_r11_6_the_doors_own_hold"),
    (
        "11.6",
        "tests/browser_hold.rs",
        "a_page_that_called_holds_and_is_held",
    ),
];

#[test]
fn every_row_of_the_document_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (row, file, test) in PROOFS {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let declared = format!("fn {test}(");
        let at = text.find(&declared);
        let at = at.unwrap_or_else(|| panic!("{row}: no {test} in {file}"));
        let before = &text[text[..at].rfind("\n\n").unwrap_or(0)..at];
        assert!(
            before.contains("test"),
            "{row}: {test} in {file} is no test"
        );
    }
    let document = std::fs::read_to_string(root.join("docs/kandy-link.md")).unwrap();
    let rows = rows(&document);
    // What the document had when this was written: the reader below still reads it.
    assert!(rows.len() >= 50, "{rows:?}");
    let proved: BTreeSet<_> = PROOFS.iter().map(|(row, ..)| (*row).to_owned()).collect();
    let open: Vec<_> = rows.difference(&proved).collect();
    assert!(open.is_empty(), "rows without a test: {open:?}");
}

/// The rows that want a proof: sections 3, 4 and 6, the lines of the table of section 5,
/// the points of the lists of sections 7, 10 and 11.
fn rows(document: &str) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    let mut section = "";
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split('.').next().unwrap_or_default();
        } else if let Some(heading) = line.strip_prefix("### ") {
            let number = heading.split(' ').next().unwrap_or_default();
            if ["1", "3", "4", "6"].contains(&section) {
                rows.insert(number.trim_end_matches('.').to_owned());
            }
        } else if let Some(cell) = line.strip_prefix("| 5.") {
            let number = cell.split(' ').next().unwrap_or_default();
            rows.insert(format!("5.{number}"));
        } else if ["7", "10", "11"].contains(&section)
            && let Some((number, _)) = line.split_once(". ")
            && number.parse::<u8>().is_ok()
        {
            rows.insert(format!("{section}.{number}"));
        }
    }
    rows
}
