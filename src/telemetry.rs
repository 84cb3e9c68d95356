//! The log: where it goes, what passes, and what never may.
//!
//! INFO is for what a householder would notice; names, addresses and session
//! descriptions are for DEBUG; message bodies are for TRACE under `wire`. Secrets
//! are kept out by their types ([`Secret`](crate::secret::Secret),
//! [`Sdp`](crate::call::Sdp)), not by a filter: the tests here hold that.

use std::{fmt, io};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

mod dial;
mod flood;
pub mod kind;

pub use dial::Dial;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// To systemd's journal, fields as fields in capitals (`journalctl CALL_ID=...`),
    /// the kind of a message as MESSAGE_ID.
    Journal,
    /// Lines for people, to standard error.
    Text,
    /// One JSON object a line, to standard error.
    Json,
}

impl LogFormat {
    /// The journal if standard error goes there, else lines for people.
    pub fn fitting() -> Self {
        // systemd sets it for services whose output is connected to the journal.
        match std::env::var_os("JOURNAL_STREAM") {
            Some(_) => Self::Journal,
            None => Self::Text,
        }
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is none.
    #[error(
        "the log filter '{filter}' is not understood: {source}; write a level such as info, or warn,doorstation::media=debug"
    )]
    Filter {
        /// As it was written.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// systemd's journal does not answer.
    #[error("the journal cannot be reached: {0}")]
    Journal(#[source] io::Error),
    /// Somebody else was first.
    #[error("the log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The level cannot be changed any more.
    #[error("the log's level cannot be changed: {0}")]
    Dial(#[source] tracing_subscriber::reload::Error),
}

/// Quiet down what says too much. webrtc-rs warns in every good call, of empty
/// remote addresses, of candidates that are not there yet, of SRTP packets that
/// came twice (our measurement, 2026-11); after a close it prints whole packets.
/// The HTTP crates tell each connection at DEBUG.
const NOISE: &str = "rtc=error,rtc_dtls=error,rtc_ice=error,rtc_srtp=error,rtc_interceptor=error,\
                     webrtc=error,hyper=info,hyper_util=info,reqwest=info,rustls=info,\
                     tungstenite=info,tokio_tungstenite=info,h2=info";

/// Who opened the door is told at every level; only directives that name `audit` change
/// that.
const AUDIT: &str = "audit=info";

/// Starts the log of this process. `filter` is a level for our own part (`info`), or
/// directives (`warn,doorstation::media=debug`), which go before ours. The [`Dial`]
/// changes it later.
///
/// # Errors
/// The filter is wrong, the journal is not there, or there is a log already.
pub fn init(format: LogFormat, filter: &str) -> Result<Dial, Error> {
    let (filter, dial) = Dial::new(filter)?;
    // Above the filter: what does not pass there costs no bucket.
    let filter = filter.and_then(dial.flood());
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Journal => {
            let journal = tracing_journald::layer().map_err(Error::Journal)?;
            // CALL_ID, not F_CALL_ID: the field that people are told to look for; and
            // `message_id` becomes MESSAGE_ID, which `journalctl -x` explains.
            let journal = journal.with_field_prefix(None);
            registry.with(filter).with(journal).try_init()
        }
        LogFormat::Text if io::IsTerminal::is_terminal(&io::stderr()) => {
            text(filter, || FreshLine(io::stderr())).try_init()
        }
        LogFormat::Text => text(filter, io::stderr).try_init(),
        LogFormat::Json => json(filter, io::stderr).try_init(),
    }
    .map_err(Error::Twice)?;
    Ok(dial)
}

/// Begins each record on an empty line: the demo's living line may stand there.
struct FreshLine<W>(W);

impl<W: io::Write> io::Write for FreshLine<W> {
    /// A record comes in one piece.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        const ERASE: &[u8] = b"\r\x1b[K";
        self.0.write_all(&[ERASE, record].concat())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn text<F, W>(filter: F, to: W) -> impl Subscriber + Send + Sync
where
    F: Layer<Registry> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let colour = io::IsTerminal::is_terminal(&io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(ForPeople)
        .with_writer(to)
        .with_ansi(colour);
    tracing_subscriber::registry().with(filter).with(lines)
}

/// The usual `name=value`, without `message_id`, which says nothing to a reader.
struct ForPeople;

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = WithoutId(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

struct WithoutId<'w>(DefaultVisitor<'w>);

impl Visit for WithoutId<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message_id" {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.record_error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.record_debug(field, value);
    }
}

fn json<F, W>(filter: F, to: W) -> impl Subscriber + Send + Sync
where
    F: Layer<Registry> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(to);
    tracing_subscriber::registry().with(filter).with(lines)
}

/// A level counts for us, others tell what is odd; directives are taken as they are.
fn filter_of(written: &str) -> Result<EnvFilter, Error> {
    parsed(&directives(written.trim()), written)
}

/// `usual` and besides it what `written` says of our modules; a level takes its place.
/// Other crates stay as they are: what they say of a connection may hold its log-in.
fn turned(usual: &str, written: &str) -> Result<EnvFilter, Error> {
    let written = written.trim();
    if is_level(written) {
        return filter_of(written);
    }
    let mut all = directives(usual.trim());
    for directive in written.split(',').map(str::trim) {
        let ours = match directive {
            level if is_level(level) => format!("doorstation={level}"),
            whole if whole.starts_with("doorstation") => whole.to_owned(),
            module => format!("doorstation::{module}"),
        };
        all = format!("{all},{ours}");
    }
    parsed(&all, written)
}

fn directives(written: &str) -> String {
    match is_level(written) {
        true => format!(
            "{},{NOISE},{},doorstation={written},wire={written}",
            least(written),
            // What was only wished for is told at DEBUG.
            if ["debug", "trace"].contains(&written) {
                "audit=debug"
            } else {
                AUDIT
            }
        ),
        // Of two directives for one target the later one counts.
        false => format!("warn,{NOISE},{AUDIT},{written}"),
    }
}

fn is_level(written: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].contains(&written)
}

fn parsed(all: &str, written: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder()
        .parse(all)
        .map_err(|source| Error::Filter {
            filter: written.to_owned(),
            source,
        })
}

/// What crates that are not ours may say at a level of ours.
fn least(level: &str) -> &str {
    match level {
        "off" | "error" => level,
        _ => "warn",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::call::{CallId, Incoming, Input, LegId, Parameter, Sdp, SignalOrder};
    use crate::secret::Secret;
    use crate::wire::TurnCredentials;

    #[test]
    fn secrets_never_reach_the_log_whatever_carries_them() {
        let turn: TurnCredentials =
            serde_json::from_str(r#"{"username":"hunter1","password":"hunter2"}"#).unwrap();
        let sdp = Sdp::new("v=0\r\na=ice-pwd:hunter3\r\nc=IN IP4 10.9.8.7\r\n");
        let order = SignalOrder::Answer(sdp.clone());
        let input = Input::Incoming(Incoming {
            account: crate::call::AccountId::new("home"),
            leg: LegId::new("l1"),
            from: crate::call::Address::new("alice@demo.local"),
            from_name: String::new(),
            to: crate::call::Address::new("door@demo.local"),
            offer: Some(sdp.clone()),
            parameters: vec![Parameter {
                name: "X-Code".to_owned(),
                value: "hunter5".to_owned(),
            }],
        });
        let password = Secret::new("hunter4");
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged(format, "trace", || {
                tracing::trace!(?turn, ?sdp, ?order, ?input, ?password, "{:?}", password);
            });
            assert!(log.contains("[secret]"), "{log}");
            for secret in ["hunter", "10.9.8.7"] {
                assert!(!log.contains(secret), "{log}");
            }
        }
    }

    #[test]
    fn fields_stay_fields() {
        let log = logged(LogFormat::Json, "info", || {
            tracing::info!(call_id = %CallId::new("c1"), "the call is over");
        });
        let line: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!(line["call_id"], "c1");
        assert_eq!(line["message"], "the call is over");
        assert_eq!(line["level"], "INFO");
    }

    /// `journalctl CALL_ID=` finds lines of media, wherever they are told.
    #[tokio::test]
    async fn what_a_call_started_is_told_with_the_call_s_id() {
        use tracing::Instrument as _;
        let out = Shared::default();
        let writer = out.clone();
        let log = json(filter_of("info").unwrap(), move || writer.clone());
        let _guard = tracing::subscriber::set_default(log);
        let tasks = crate::tasks::Tasks::new();
        let leg = LegId::incoming("c1");
        async {
            tasks.spawn_draining("inner", async {
                tracing::warn!("the picture does not follow");
            });
        }
        .instrument(tracing::error_span!("call", call_id = leg.call(), %leg))
        .await;
        tasks.stop().await;
        let line: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(line["span"]["call_id"], "c1", "{line}");
    }

    #[test]
    fn the_kind_of_a_message_is_for_programs() {
        let tell = || {
            tracing::info!(
                message_id = kind::CALL_OVER,
                call_id = "c1",
                code = 9901,
                "the call is over"
            );
        };
        let log = logged(LogFormat::Text, "info", tell);
        assert!(
            log.ends_with("the call is over call_id=\"c1\" code=9901\n"),
            "{log}"
        );
        let log = logged(LogFormat::Json, "info", tell);
        assert!(log.contains(kind::CALL_OVER), "{log}");
    }

    #[test]
    fn a_level_is_ours_and_others_only_warn() {
        let log = logged(LogFormat::Json, "debug", || {
            tracing::debug!(target: "doorstation::media", "ours");
            tracing::trace!(target: "doorstation::media", "too fine");
            tracing::info!(target: "somebody", "theirs");
            tracing::warn!(target: "somebody", "odd");
            tracing::warn!(target: "rtc_ice::agent", "noise");
        });
        let messages: Vec<_> = log.lines().map(message).collect();
        assert_eq!(messages, ["ours", "odd"]);
    }

    #[test]
    fn who_opened_the_door_is_told_at_every_level() {
        let tell = || tracing::info!(target: "audit", "the door was opened");
        for filter in ["error", "warn", "info", "trace", "warn,doorstation=debug"] {
            assert!(
                logged(LogFormat::Text, filter, tell).contains("opened"),
                "{filter}"
            );
        }
        assert_eq!(logged(LogFormat::Text, "info,audit=warn", tell), "");
        let wish = || tracing::debug!(target: "audit", "somebody wants the door open");
        assert_eq!(logged(LogFormat::Text, "info", wish), "");
        assert!(logged(LogFormat::Text, "debug", wish).contains("wants"));
    }

    #[test]
    fn directives_go_before_ours() {
        let log = logged(
            LogFormat::Json,
            "doorstation::media=trace,rtc_ice=warn",
            || {
                tracing::trace!(target: "doorstation::media", "asked for");
                tracing::info!(target: "doorstation::call", "not asked for");
                tracing::warn!(target: "rtc_ice", "noise that was asked for");
            },
        );
        let messages: Vec<_> = log.lines().map(message).collect();
        assert_eq!(messages, ["asked for", "noise that was asked for"]);
    }

    #[test]
    fn a_wrong_filter_says_what_to_write() {
        let error = filter_of("doorstation=loud").unwrap_err().to_string();
        assert!(
            error.contains("'doorstation=loud' is not understood"),
            "{error}"
        );
        assert!(error.contains("write a level such as info"), "{error}");
    }

    #[test]
    fn a_record_erases_what_stands_in_its_line() {
        let out = Shared::default();
        let writer = out.clone();
        let to = move || FreshLine(writer.clone());
        let subscriber = text(filter_of("info").unwrap(), to);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            tracing::info!("two");
        });
        let log = out.text();
        let records: Vec<_> = log.split("\r\x1b[K").collect();
        assert_eq!(records.len(), 3, "{log:?}");
        assert!(
            records[0].is_empty() && records[1].ends_with("one\n"),
            "{log:?}"
        );
    }

    fn message(line: &str) -> String {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().unwrap().to_owned()
    }

    /// What `tell` logs.
    pub(crate) fn logged(format: LogFormat, filter: &str, tell: impl FnOnce()) -> String {
        let out = Shared::default();
        let writer = out.clone();
        let to = move || writer.clone();
        let filter = filter_of(filter).unwrap();
        match format {
            LogFormat::Json => tracing::subscriber::with_default(json(filter, to), tell),
            LogFormat::Text | LogFormat::Journal => {
                tracing::subscriber::with_default(text(filter, to), tell);
            }
        }
        out.text()
    }

    #[derive(Clone, Default)]
    pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
