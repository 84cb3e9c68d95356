//! What a running station says of itself: what it holds cannot be tried beside it.

use super::Finding;
use crate::control::message::{Account, Device, Status};

pub(super) fn examine(status: &Status, note: &mut dyn FnMut(Finding)) {
    status.accounts.iter().map(account).for_each(&mut *note);
    status.devices.iter().map(device).for_each(&mut *note);
    if let Some(door) = &status.door {
        note(match (&door.relay_fault, &door.alarm) {
            (Some(fault), _) => Finding::failure(
                "door",
                fault.clone(),
                "systemctl status doorstation-relay; see docs/door.md",
            ),
            (None, Some(alarm)) => Finding::warning("door", alarm.clone(), "look at the door"),
            (None, None) => Finding::ok("door", "relay works"),
        });
    }
}

fn account(account: &Account) -> Finding {
    let check = format!("account {}", account.account);
    let message = account.message.clone();
    let seen = message.unwrap_or_else(|| account.state.clone());
    match account.state.as_str() {
        "connected" => Finding::ok(check, format!("connected as {}", account.user)),
        "refused" => Finding::failure(
            check,
            seen,
            "correct user and password_file of this account",
        ),
        _ => Finding::failure(check, seen, "see the lines of its server above"),
    }
}

fn device(device: &Device) -> Finding {
    match (&device.source, &device.fault) {
        (None, _) => Finding::ok(&device.device, "none, by the configuration"),
        (Some(source), None) => Finding::ok(&device.device, format!("works ({source})")),
        (Some(source), Some(fault)) => Finding::failure(
            &device.device,
            format!("{fault} ({source})"),
            super::devices::remedy(&device.device),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn what_is_broken_is_a_failure_with_a_remedy() {
        let told = Device {
            device: "camera".to_owned(),
            source: Some("/dev/video0".to_owned()),
            fault: Some("no picture".to_owned()),
        };
        let finding = device(&told);
        assert_eq!(finding.grade, Grade::Failure);
        assert!(finding.remedy.unwrap().contains("v4l2-ctl"));
        let refused = Account {
            account: "cloud".to_owned(),
            user: "door@example.org".to_owned(),
            state: "refused".to_owned(),
            message: Some("the server refuses our user name or password".to_owned()),
        };
        let finding = account(&refused);
        assert_eq!(finding.grade, Grade::Failure);
        assert!(finding.seen.contains("refuses"), "{finding:?}");
    }
}
