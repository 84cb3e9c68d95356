//! Whom and what a request may name. Only what the configuration knows: an operator
//! cannot let the station call anybody else.

use super::Callees;
use crate::call::{Make, RingStep, Target};
use crate::panel::action::Actions;

impl Callees {
    /// The call to `name`, or whom the bell rings.
    ///
    /// # Errors
    ///
    /// A sentence: the name is not known, or is that of several.
    pub(super) fn make(&self, name: Option<&str>) -> Result<Make, String> {
        let plan = match name {
            None => self.ring.clone(),
            Some(name) => match self.plans.iter().find(|(plan, _)| plan == name) {
                Some((_, plan)) => plan.clone(),
                None => vec![self.one(name)?],
            },
        };
        if plan.iter().all(|step| step.targets.is_empty()) {
            return Err("nobody to ring: add names to ring in the configuration".into());
        }
        Ok(Make {
            call: None,
            plan,
            wish: self.wish,
            parameters: self.parameters.clone(),
        })
    }

    fn one(&self, name: &str) -> Result<RingStep, String> {
        let known = self.known();
        let called = |target: &&&Target| {
            let to = target.to.as_str();
            let local = to.split('@').next().unwrap_or_default();
            let (account, address) = match name.split_once(':') {
                Some((account, address)) => (Some(account), address),
                None => (None, name),
            };
            account.is_none_or(|account| account == target.account.as_str())
                && [to, local].iter().any(|a| a.eq_ignore_ascii_case(address))
        };
        let found: Vec<_> = known.iter().filter(called).copied().collect();
        match found[..] {
            [target] => Ok(RingStep {
                targets: vec![target.clone()],
                // As the bell rings: its times fit the gateway's.
                time: self.ring.first().map_or(RingStep::TIME, |step| step.time),
            }),
            [] => {
                let plans = self.plans.iter().map(|(name, _)| name.clone());
                let people = known.into_iter().map(full);
                let known: Vec<_> = plans.chain(people).collect();
                Err(format!(
                    "nobody and no ring plan is named '{}'; known are: {}",
                    short(name),
                    known.join(", ")
                ))
            }
            _ => {
                let found: Vec<_> = found.into_iter().map(full).collect();
                Err(format!(
                    "'{}' is the name of several; say one of: {}",
                    short(name),
                    found.join(", ")
                ))
            }
        }
    }

    /// Everybody, each once.
    fn known(&self) -> Vec<&Target> {
        let plans = self.plans.iter().flat_map(|(_, plan)| plan);
        let steps = self.ring.iter().chain(plans);
        let mut known: Vec<_> = steps.flat_map(|step| &step.targets).collect();
        known.extend(&self.people);
        known.sort();
        known.dedup();
        known
    }
}

/// The actions of the button `name`.
///
/// # Errors
///
/// A sentence with the buttons that there are.
pub(super) fn button(buttons: &[(String, Actions)], name: &str) -> Result<Actions, String> {
    let found = buttons.iter().find(|(button, _)| button == name);
    found.map(|(_, actions)| *actions).ok_or_else(|| {
        let known: Vec<_> = buttons.iter().map(|(name, _)| name.as_str()).collect();
        format!(
            "the panel has no button '{}'; it has: {}",
            short(name),
            known.join(", ")
        )
    })
}

fn full(target: &Target) -> String {
    format!("{}:{}", target.account, target.to)
}

/// What was named, cut to what fits a sentence.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{AccountId, Address, Wish};

    fn target(account: &str, to: &str) -> Target {
        Target {
            account: AccountId::new(account),
            to: Address::new(to),
        }
    }

    fn step(targets: &[Target], seconds: u64) -> RingStep {
        RingStep {
            targets: targets.to_vec(),
            time: std::time::Duration::from_secs(seconds),
        }
    }

    fn callees() -> Callees {
        let alice = target("home", "alice@home.local");
        let office = target("cloud", "office@example.org");
        Callees {
            ring: vec![step(std::slice::from_ref(&alice), 62)],
            plans: vec![("parcels".into(), vec![step(&[office], 20)])],
            people: vec![
                alice,
                target("home", "bob@home.local"),
                target("cloud", "bob@example.org"),
            ],
            wish: Wish {
                audio: true,
                receive_video: false,
                send_video: true,
            },
            parameters: Vec::new(),
        }
    }

    fn made(name: Option<&str>) -> Result<Vec<String>, String> {
        let make = callees().make(name)?;
        let targets = make.plan.iter().flat_map(|step| &step.targets);
        Ok(targets.map(full).collect())
    }

    #[test]
    fn a_plan_a_person_and_the_bell_s_own() {
        assert_eq!(made(None).unwrap(), ["home:alice@home.local"]);
        assert_eq!(made(Some("parcels")).unwrap(), ["cloud:office@example.org"]);
        for name in ["alice", "Alice", "alice@home.local", "home:alice"] {
            assert_eq!(made(Some(name)).unwrap(), ["home:alice@home.local"]);
        }
        assert_eq!(made(Some("cloud:bob")).unwrap(), ["cloud:bob@example.org"]);
        let make = callees().make(Some("alice")).unwrap();
        assert_eq!(make.plan[0].time.as_secs(), 62);
    }

    #[test]
    fn a_name_of_several_or_of_nobody_is_told_with_what_is_known() {
        assert_eq!(
            made(Some("bob")).unwrap_err(),
            "'bob' is the name of several; say one of: cloud:bob@example.org, home:bob@home.local"
        );
        let nobody = made(Some("mallory@evil.example")).unwrap_err();
        assert!(nobody.ends_with(
            "known are: parcels, cloud:bob@example.org, cloud:office@example.org, \
             home:alice@home.local, home:bob@home.local"
        ));
        assert!(made(Some(&"x".repeat(4000))).unwrap_err().len() < 250);
    }

    #[test]
    fn a_button_that_is_not_there_is_told_with_those_that_are() {
        use crate::panel::action::Action;
        let bell = Actions::always(Action::Call(None));
        let buttons = [("bell".to_owned(), bell)];
        assert_eq!(button(&buttons, "bell"), Ok(bell));
        assert_eq!(
            button(&buttons, "open").unwrap_err(),
            "the panel has no button 'open'; it has: bell"
        );
    }
}
