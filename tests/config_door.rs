//! `[door]`: who may open, and every mistake in it at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::time::Duration;

use config_bench::{Bench, lines, one_user};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.secret("p", "x");
    bench.secret("code", "4711\n");
    bench
}

#[test]
fn without_the_table_there_is_no_door_and_with_it_nobody_may_open() {
    let bench = bench();
    assert!(bench.load(&one_user("")).unwrap().door.is_none());
    let door = bench.load(&one_user("[door]")).unwrap().door.unwrap();
    assert!(door.rules.users.is_empty() && door.rules.parties.is_empty());
    assert!(door.rules.code.is_none());
    assert_eq!(door.rules.pulse, Duration::from_secs(5));
    assert_eq!(door.rules.hang_up_after, Some(Duration::from_secs(5)));
    assert_eq!(door.rules.open_too_long, Duration::from_secs(60));
}

#[test]
fn rights_are_given_by_name() {
    let bench = bench();
    let file = "[[gateway.user]]\nname = 'alice'\npassword_file = 'p'\nmay_open = true\n\
                [[gateway.user]]\nname = 'bob'\npassword_file = 'p'\n\
                [door]\nmay_open = ['bob']\ncode_file = 'code'\nhang_up_after_s = 0\n";
    let rules = bench.load(file).unwrap().door.unwrap().rules;
    let users: Vec<_> = rules.users.iter().map(|user| user.as_str()).collect();
    assert_eq!(users, ["alice@home.local"]);
    let parties = rules.parties.iter();
    let parties: Vec<_> = parties.map(|p| format!("{} {}", p.account, p.to)).collect();
    assert_eq!(parties, ["home bob@home.local"]);
    assert!(rules.code.is_some());
    assert_eq!(rules.hang_up_after, None);
}

#[test]
fn every_mistake_is_told_at_once_and_no_code_is_shown() {
    let bench = bench();
    bench.secret("short", "471");
    let told = bench.faults(
        "[[gateway.user]]\nname = 'alice'\npassword_file = 'p'\n[door]\npulse_s = 11\n\
         may_open = ['alcie']\ncode_file = 'short'\ncode = '471199'\nopn_too_long_s = 5\n",
    );
    let want = [
        "5:11: door.pulse_s: must be 1 to 10 seconds, is 11",
        "6:13: door.may_open[0]: the embedded gateway has no user 'alcie@home.local'; did you mean 'alice@home.local'?",
        "7:13: door.code_file: holds no code: 4 to 16 of the keys 0-9, *, # and A-D",
        "8:8: door.code: does not stand in this file: write it to a file of mode 0600; name that file with 'code_file'",
        "9:1: door.opn_too_long_s: is not a key of this version; did you mean 'open_too_long_s'?",
    ];
    assert_eq!(lines(&told), want);
    assert!(!told.to_string().contains("471199"));
}

#[test]
fn who_may_open_from_a_call_needs_a_code() {
    let bench = bench();
    let told = bench.faults(&one_user("[door]\nmay_open = ['alice']"));
    let want = "door.code_file: is missing; who opens from a call dials a code for it";
    assert_eq!(told.count(), 1);
    assert!(told.to_string().ends_with(want), "{told}");
}
