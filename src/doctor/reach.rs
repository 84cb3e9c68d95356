//! Servers, log-ins, the page's certificate and the relay guardian.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Finding;
use crate::call::{Connection, Input};
use crate::config::Checked;
use crate::config::checked::{Account, Tls};
use crate::door::operator;
use crate::gateway;
use crate::run::account_settings;
use crate::signalling::kandy;
use crate::tasks::Tasks;
use crate::{clock, ice};

/// How long a name server or a server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a log-in may take: two requests and a socket.
const LOGIN: Duration = Duration::from_secs(15);
/// A certificate of one's own that ends sooner is a warning: two weeks.
const SOON: Duration = Duration::from_secs(14 * 86_400);
/// How long the relay is on when it is only to be heard.
const CLICK: Duration = Duration::from_millis(500);
/// News of accounts: the latest of each is looked at, so that few may wait.
const NEWS: usize = 64;

/// Until when the page's certificate is good.
pub(super) fn certificate(config: &Checked, note: &mut dyn FnMut(Finding)) {
    let Some(served) = &config.gateway else {
        return;
    };
    let (file, own) = match &served.tls {
        Tls::Off => return,
        // A station that never ran has none yet, and makes it.
        Tls::Local { .. } => (
            gateway::certificate_of(&served.state_dir.join("tls")),
            false,
        ),
        Tls::Files { certificate, .. } => (certificate.clone(), true),
    };
    if !own && !file.exists() {
        return;
    }
    note(match gateway::certificate_end(&file) {
        Ok(end) => judge_certificate(end, clock::wall(), own),
        Err(why) => Finding::failure("certificate", why, "put a certificate there, PEM"),
    });
}

fn judge_certificate(end: SystemTime, now: SystemTime, own: bool) -> Finding {
    let remedy = if own {
        "get a new certificate and restart the station: [gateway] certificate_file names it"
    } else {
        "is the clock right? The running station renews it itself: sudo systemctl restart doorstation"
    };
    match end.duration_since(now) {
        Err(ended) => {
            let days = ended.duration().as_secs() / 86_400;
            let seen =
                format!("the page's certificate ended {days} days ago: browsers refuse the page");
            Finding::failure("certificate", seen, remedy)
        }
        Ok(left) => {
            let seen = format!(
                "the page's certificate is good for {} days",
                left.as_secs() / 86_400
            );
            if own && left < SOON {
                Finding::warning("certificate", seen, remedy)
            } else {
                Finding::ok("certificate", seen)
            }
        }
    }
}

/// Whether the names of all servers are found and their ports answer.
pub(super) async fn servers(config: &Checked, note: &mut (dyn FnMut(Finding) + Send)) {
    let mut hosts = BTreeMap::new();
    for account in &config.accounts {
        for url in [&account.rest, &account.websocket] {
            if let Some(host) = host_of(url) {
                hosts.entry(host).or_insert_with(|| account.id.to_string());
            }
        }
    }
    for (host, account) in hosts {
        note(server(&host, &account).await);
    }
}

/// `host:port` of a URL without a path.
fn host_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().unwrap_or(rest);
    let named = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(match (named, scheme) {
        (true, _) => host.to_owned(),
        (false, "https" | "wss") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    })
}

async fn server(host: &str, account: &str) -> Finding {
    let check = format!("server {host}");
    let began = clock::now();
    let found = timeout(PATIENCE, tokio::net::lookup_host(host)).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let Some(first) = addresses.first() else {
        return Finding::failure(
            check,
            format!("no name server knows it (account {account})"),
            "is the name right? Is there a name server: resolvectl status, or cat /etc/resolv.conf; \
             is the network up: ip address",
        );
    };
    match timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => {
            let took = began.elapsed().as_millis();
            Finding::ok(check, format!("answers at {} in {took} ms", first.ip()))
        }
        Ok(Err(error)) => Finding::failure(
            check,
            format!("{}: {error}", first.ip()),
            unreachable(account),
        ),
        Err(_) => Finding::failure(
            check,
            format!("{}: no answer within 5 s", first.ip()),
            unreachable(account),
        ),
    }
}

fn unreachable(account: &str) -> String {
    format!(
        "is the port right ([[account]] {account}), and does the router let the station out to it?"
    )
}

/// Whether the guardian of the relay listens and we may connect.
/// With `click` the door is opened for a moment, so that a person hears the relay.
pub(super) fn guardian(config: &Checked, click: bool, note: &mut dyn FnMut(Finding)) {
    let Some(door) = &config.door else {
        return;
    };
    let seen = format!("the relay guardian at {}", door.socket.display());
    note(match UnixStream::connect(&door.socket) {
        Ok(_) if click => clicked(&door.socket),
        Ok(_) => Finding::ok(
            "relay",
            format!("{seen} listens; --click opens the door for a moment"),
        ),
        Err(error) => Finding::failure(
            "relay",
            format!("{seen}: {error}"),
            "sudo systemctl status doorstation-relay; without it the door stays shut",
        ),
    });
}

fn clicked(socket: &Path) -> Finding {
    match operator::open(socket, CLICK, || {}) {
        Ok(on) => Finding::ok(
            "relay",
            format!("was on for {} ms: did it click?", on.as_millis()),
        ),
        Err(error) => Finding::failure(
            "relay",
            error.to_string(),
            "sudo journalctl -u doorstation-relay says why; docs/door.md has each failure",
        ),
    }
}

/// Logs in at each account, as the station does, and out again. Log-ins for `help` that a
/// service hands out are put there.
pub(super) async fn logins(
    config: &Checked,
    help: &ice::Servers,
    note: &mut (dyn FnMut(Finding) + Send),
) {
    for account in &config.accounts {
        let help = match account.turn_credentials {
            true => help.clone(),
            false => ice::Servers::default(),
        };
        note(login(account, help).await);
    }
}

async fn login(account: &Account, help: ice::Servers) -> Finding {
    let check = format!("account {}", account.id);
    let (inbox, mut news) = mpsc::channel(NEWS);
    // The client asks nobody else for anything: it gets no order.
    let (orders, queue) = mpsc::channel(1);
    let tasks = Tasks::new();
    let client = kandy::Client::new(account_settings(account.clone()), inbox, tasks.clone())
        .map(|client| client.with_turn(help));
    let client = match client {
        Ok(client) => client,
        Err(error) => return Finding::failure(check, error.to_string(), "correct this account"),
    };
    tasks.spawn_draining("login", client.run(queue));
    let until = Instant::now() + LOGIN;
    let finding = loop {
        match timeout_at(until, news.recv()).await {
            Ok(Some(Input::Connection(_, connection))) => match connection {
                Connection::Connecting => {}
                Connection::Connected => {
                    break Finding::ok(check, format!("logged in as {}", account.user));
                }
                Connection::Lost(failure) => {
                    let remedy = "see the line of its server; a wrong certificate needs ca_file";
                    break Finding::failure(check, failure.message, remedy);
                }
                Connection::Refused(failure) => {
                    let remedy = "correct user and password_file of this account";
                    break Finding::failure(check, failure.message, remedy);
                }
            },
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                let remedy = "try again; if it stays, ask who runs the service";
                break Finding::failure(check, "no answer to the log-in within 15 s", remedy);
            }
        }
    };
    drop(orders);
    tasks.stop().await;
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_that_ended_fails_and_one_of_ones_own_warns_in_time() {
        let now = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let ended = judge_certificate(now - 3 * DAY, now, true);
        assert_eq!(ended.grade, Grade::Failure);
        assert!(ended.seen.contains("ended 3 days ago"), "{ended:?}");
        assert!(ended.remedy.unwrap().contains("new certificate"));
        assert_eq!(
            judge_certificate(now + 3 * DAY, now, true).grade,
            Grade::Warning
        );
        assert_eq!(
            judge_certificate(now + 3 * DAY, now, false).grade,
            Grade::Ok
        );
        assert_eq!(
            judge_certificate(now + 30 * DAY, now, true).grade,
            Grade::Ok
        );
    }

    #[test]
    fn a_server_s_port_follows_from_its_scheme() {
        let host = |url| host_of(url).unwrap();
        assert_eq!(host("https://kandy.example"), "kandy.example:443");
        assert_eq!(host("wss://kandy.example:8443"), "kandy.example:8443");
        assert_eq!(host("http://[::1]:80"), "[::1]:80");
        assert_eq!(host("http://[::1]"), "[::1]:80");
        assert_eq!(host_of("kandy.example"), None);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_a_failure_of_the_name() {
        let finding = server("door.invalid:443", "cloud").await;
        assert_eq!(finding.grade, Grade::Failure);
        assert!(
            finding.seen.contains("no name server knows it"),
            "{finding:?}"
        );
        assert!(finding.remedy.unwrap().contains("resolv.conf"));
    }
}
