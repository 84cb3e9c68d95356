//! `[control]` and `[metrics]`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod config_bench;

use std::path::Path;

use config_bench::{Bench, lines, one_user};

#[test]
fn without_a_word_nothing_listens() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let checked = bench.load(&one_user("")).unwrap();
    assert_eq!((checked.control, checked.metrics), (None, None));
    let checked = bench.load(&one_user("[metrics]")).unwrap();
    assert_eq!(checked.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    let file = one_user("[control]\nsocket = '/run/x/control.sock'");
    let control = bench.load(&file).unwrap().control.unwrap();
    assert_eq!(control.socket, Path::new("/run/x/control.sock"));
    assert_eq!(control.group.as_deref(), Some("doorstation-operator"));
    let control = bench
        .load(&format!("{file}\ngroup = 'none'"))
        .unwrap()
        .control;
    assert_eq!(control.unwrap().group, None);
    let checked = bench.load(&one_user("[control]\nsocket = 'none'")).unwrap();
    assert_eq!(checked.control, None);
}

#[test]
fn metrics_leave_the_machine_only_where_somebody_says_so() {
    let bench = Bench::new();
    bench.secret("p", "x");
    let told = bench.faults(&one_user(
        "[metrics]\nlisten = '0.0.0.0:9464'\n[control]\nsocket = 'here'",
    ));
    assert_eq!(
        lines(&told),
        [
            "6:10: metrics.listen: would tell the network how the house is used: there is no log-in; listen on 127.0.0.1, or say beyond_loopback = true",
            "8:10: control.socket: 'here' is neither an absolute path nor none",
        ]
    );
    let file = one_user("[metrics]\nlisten = '0.0.0.0:9464'\nbeyond_loopback = true");
    let checked = bench.load(&file).unwrap();
    assert_eq!(checked.metrics, Some("0.0.0.0:9464".parse().unwrap()));
}
