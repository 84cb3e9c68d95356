//! Whom the bell rings, and in which order.

use std::collections::BTreeSet;

use super::people::{self, Server};
use super::raw::{At, Table, short};
use super::read::seconds;
use crate::call::{RingStep, Target};

/// Each leg of a call costs a session for picture and sound.
const MOST: usize = 8;
/// Nobody waits at a door for longer than these take (our choice).
const MOST_STEPS: usize = 8;

/// `[[call.ring_step]]`, one after the other; without them one step of `ring` and
/// `ring_timeout_s`.
pub(super) fn ring_plan(table: &mut Table<'_, '_>, servers: &[Server]) -> Vec<RingStep> {
    let time = seconds(table, "ring_timeout_s", 5..=300, 60);
    let mut steps = table.tables("ring_step");
    if steps.is_empty() {
        let targets = ring(table, servers);
        return vec![RingStep { targets, time }];
    }
    if let Some(ring) = table
        .texts("ring")
        .and_then(|names| names.into_iter().next())
    {
        table.note(
            &ring,
            "stands beside ring_step: only one of the two can count",
        );
    }
    let steps = steps.iter_mut().enumerate();
    steps.map(|(n, step)| ring_step(n, step, servers)).collect()
}

/// `[[call.plan]]`: ring plans that buttons of the panel name.
pub(super) fn named_plans(
    call: &mut Table<'_, '_>,
    servers: &[Server],
) -> Vec<(String, Vec<RingStep>)> {
    let mut plans: Vec<(String, Vec<RingStep>)> = Vec::new();
    for mut table in call.tables("plan") {
        let name = table.text("name");
        let steps = ring_plan(&mut table, servers);
        table.finish();
        let Some(name) = name else {
            table.missing("name", "what [[panel.button]] calls this plan");
            continue;
        };
        if plans.iter().any(|(other, _)| *other == name.value) {
            let what = format!("there are two plans named '{}'", short(&name.value));
            table.note(&name, what);
        }
        plans.push((name.value, steps));
    }
    plans
}

fn ring_step(n: usize, table: &mut Table<'_, '_>, servers: &[Server]) -> RingStep {
    let targets = match table.texts("ring") {
        Some(names) => {
            if let Some(name) = names.first().filter(|_| n == MOST_STEPS) {
                let what = format!("at most {MOST_STEPS} steps can follow each other");
                table.note(name, what);
            }
            listed(table, &names, servers)
        }
        None => {
            table.missing("ring", "say whom this step rings: ring = [\"alice\"]");
            Vec::new()
        }
    };
    let step = RingStep {
        targets,
        time: seconds(table, "for_s", 5..=300, 20),
    };
    table.finish();
    step
}

/// Whom the bell rings; by default every user of the embedded gateway.
fn ring(table: &mut Table<'_, '_>, servers: &[Server]) -> Vec<Target> {
    let Some(names) = table.texts("ring") else {
        let everybody = servers.iter().flat_map(Server::everybody);
        let everybody: Vec<_> = everybody.take(MOST).collect();
        // A server that could not be read has told its own mistake.
        if everybody.is_empty() && !servers.is_empty() && table.noted() == 0 {
            table.missing(
                "ring",
                "say whom the bell rings: ring = [\"account:name@domain\"]",
            );
        }
        return everybody;
    };
    listed(table, &names, servers)
}

/// Who is meant by the entries of a list.
fn listed(table: &mut Table<'_, '_>, names: &[At<String>], servers: &[Server]) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        match people::target(&name.value, servers) {
            Ok(target) if !seen.insert((target.account.clone(), target.to.clone())) => {
                table.note(
                    name,
                    format!("'{}' is in the list twice", short(&name.value)),
                );
            }
            Ok(target) => targets.push(target),
            // Without a single server there is nothing to compare names with.
            Err(_) if servers.is_empty() && table.noted() > 0 => {}
            Err((what, help)) => table.note_with(name, what, help),
        }
    }
    if let Some(first) = names.first()
        && names.len() > MOST
    {
        table.note(
            first,
            format!(
                "at most {MOST} can be rung at once, here are {}",
                names.len()
            ),
        );
    }
    if names.is_empty() {
        table.missing(
            "ring[0]",
            "the list is empty; leave 'ring' out to ring everybody",
        );
    }
    targets
}
