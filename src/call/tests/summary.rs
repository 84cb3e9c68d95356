//! Stories of the summary: once, last, and with the right figures.

use super::*;

fn figures(frames: f64) -> Media {
    Media::Figures(Figures([("frames_per_s_p50", frames)].into()))
}

/// The summaries among what came out, each with the place where it came.
fn summaries(bench: &Bench) -> Vec<(usize, Summary)> {
    let outputs = bench.out.iter().enumerate();
    outputs
        .filter_map(|(place, output)| match output {
            Output::Event(Event::Summary { summary, .. }) => Some((place, summary.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn the_summary_is_the_last_word_and_has_figures_and_moments() {
    let (mut bench, leg) = Bench::in_call();
    bench.wait(Duration::from_secs(3));
    bench.media(&leg, Media::FirstSound);
    bench.press(Button::End);
    assert!(
        summaries(&bench).is_empty(),
        "the figures are still to come"
    );
    bench.media(&leg, figures(29.0));
    let [(place, summary)] = &summaries(&bench)[..] else {
        panic!("one summary: {:?}", bench.out);
    };
    assert_eq!(*place, bench.out.len() - 1);
    assert_eq!(summary.talked, Some(Duration::from_secs(3)));
    assert_eq!(summary.moment_ms("answer_to_first_sound"), Some(3000.0));
    assert_eq!(summary.figure("frames_per_s_p50"), Some(29.0));
    assert_eq!(
        summary.essence().collect::<Vec<_>>(),
        [("frames_per_s_p50", 29.0)]
    );
    assert!(bench.calls.is_settled());
}

#[test]
fn a_leg_that_only_rang_does_not_count_and_is_waited_for() {
    let mut bench = Bench::ringing(&[ALICE, BOB]);
    bench.press(Button::Bell);
    let (alice, bob) = (leg(1, 0), leg(1, 1));
    for leg in [&alice, &bob] {
        bench.media(leg, Media::OfferReady(sdp("offer")));
        bench.signal(leg, Signal::Started);
        bench.signal(leg, Signal::Ringing);
    }
    bench.signal(&bob, Signal::Responded(sdp("answer")));
    bench.media(&bob, Media::AnswerApplied { held: false });
    bench.signal(&bob, ended("200"));
    bench.media(&bob, figures(30.0));
    assert!(summaries(&bench).is_empty(), "alice's leg still closes");
    bench.media(&alice, figures(1.0));
    let [(_, summary)] = &summaries(&bench)[..] else {
        panic!("one summary: {:?}", bench.out);
    };
    assert_eq!(summary.figure("frames_per_s_p50"), Some(30.0));
}

#[test]
fn a_call_without_media_is_summed_up_at_once() {
    let (mut bench, _) = Bench::incoming();
    bench.press(Button::Reject);
    let [(place, summary)] = &summaries(&bench)[..] else {
        panic!("one summary: {:?}", bench.out);
    };
    assert_eq!(*place, bench.out.len() - 1);
    assert_eq!(summary.direction, Direction::Incoming);
    assert_eq!(summary.talked, None);
    assert_eq!(summary.figures, Figures::default());
}
