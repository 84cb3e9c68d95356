//! A real Chromium without a window, driven through chromedriver.
//!
//! Microphone and camera are Chromium's own fakes; the microphone plays a WAV file
//! in a loop. Nothing is fetched from anywhere but the pages under test.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::clock;
use super::process::Group;

/// How long chromedriver and Chromium may take to start, and any script to end: a
/// script waits for several things, each with the patience of `measure.js`.
const PATIENCE: Duration = Duration::from_secs(240);

/// What goes wrong with a URL; reqwest gives no name for it.
type UrlError = <Url as FromStr>::Err;

/// The same browser without its windows, tabs and settings.
const SHELL: &str = "chromium-headless-shell";

/// How often a condition inside a page is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Where the two programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    chromium: PathBuf,
    driver: PathBuf,
}

impl Programs {
    /// Looks for Chromium and chromedriver in `PATH`.
    ///
    /// `Ok(None)` asks the test to pass without having run; its reason is printed.
    /// Where every test must run (in CI and in `script/test`) that is an error.
    pub(crate) fn find() -> Result<Option<Self>> {
        let chromium = in_path(&[SHELL, "chromium", "chromium-browser", "google-chrome"]);
        let driver = in_path(&["chromedriver"]);
        let missing = match (chromium, driver) {
            (Some(chromium), Some(driver)) => return Ok(Some(Self { chromium, driver })),
            (None, Some(_)) => "chromium",
            (Some(_), None) => "chromium-driver",
            (None, None) => "chromium and chromium-driver",
        };
        let sentence = format!("no {missing} on this machine: run script/setup, or apt install it");
        let must_run = ["CI", "DOORSTATION_TEST_ALL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        if must_run {
            bail!(sentence);
        }
        eprintln!("skipped: {sentence}");
        Ok(None)
    }
}

fn in_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// The page that is open, and what can be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    client: Client,
}

/// One Chromium with one chromedriver; both end with it.
#[derive(Debug)]
pub(crate) struct Browser {
    tab: Tab,
    // Dropped after the client: the driver, with Chromium in its process group, and
    // last the profile that they write to.
    driver: Group,
    profile: TempDir,
}

impl Browser {
    /// Starts it; its microphone plays `microphone` for ever.
    pub(crate) async fn start(programs: &Programs, microphone: &Path) -> Result<Self> {
        let profile = TempDir::with_prefix("doorstation-chromium-")?;
        let mut command = Command::new(&programs.driver);
        command
            .arg("--port=0")
            // Crash reports and caches stay inside the profile.
            .env("HOME", profile.path())
            .env("XDG_CONFIG_HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut driver = Group::spawn(&mut command)?;
        let port = tokio::time::timeout(PATIENCE, announced_port(&mut driver))
            .await
            .context("chromedriver does not name its port")??;

        let capabilities = capabilities(programs, profile.path(), microphone);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let address = format!("http://127.0.0.1:{port}");
        let client = tokio::time::timeout(PATIENCE, builder.connect(&address))
            .await
            .map_err(|_| anyhow!("Chromium did not start within {PATIENCE:?}"))?
            .context("Chromium does not start")?;
        client
            .update_timeouts(TimeoutConfiguration::new(Some(PATIENCE), None, None))
            .await?;
        Ok(Self {
            tab: Tab { client },
            driver,
            profile,
        })
    }

    /// The page that is open.
    pub(crate) fn tab(&self) -> Tab {
        self.tab.clone()
    }

    /// Ends Chromium and its driver.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.tab.client.clone().close().await?;
        let _ = self.driver.child().start_kill();
        Ok(())
    }
}

impl Deref for Browser {
    type Target = Tab;

    fn deref(&self) -> &Tab {
        &self.tab
    }
}

impl Tab {
    /// Opens `url` and waits until it is loaded.
    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        self.client
            .goto(url)
            .await
            .with_context(|| format!("cannot open {url}"))
    }

    /// Runs `body` in the page as the body of an async function of `args`, and gives
    /// what it returns. An exception there is an error here.
    pub(crate) async fn run(&self, body: &str, args: Value) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (args) => {{ {body} }})(arguments[0]).then(
                 (value) => done({{ value: value === undefined ? null : value }}),
                 (error) => done({{ error: String(error && error.stack || error) }}));"
        );
        let mut reply = self
            .client
            .execute_async(&script, vec![args])
            .await
            .with_context(|| format!("the page did not finish: {}", first_line(body)))?;
        if let Some(error) = reply["error"].as_str() {
            bail!("{}: {error}", first_line(body));
        }
        Ok(reply["value"].take())
    }

    /// Waits until the expression `condition` is true in the page.
    pub(crate) async fn until(
        &self,
        what: &str,
        patience: Duration,
        condition: &str,
    ) -> Result<()> {
        let deadline = clock::now() + patience;
        loop {
            if self
                .run(&format!("return !!({condition})"), Value::Null)
                .await?
                == true
            {
                return Ok(());
            }
            if clock::now() > deadline {
                bail!("the page did not show {what} within {patience:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs `source` in every page opened from now on, before the page's own scripts.
    pub(crate) async fn before_each_page(&self, source: &str) -> Result<()> {
        let params = json!({ "source": source });
        self.issue(
            "goog/cdp/execute",
            json!({ "cmd": "Page.addScriptToEvaluateOnNewDocument", "params": params }),
        )
        .await?;
        Ok(())
    }

    /// Saves what the page looks like as a PNG file.
    pub(crate) async fn screenshot(&self, file: &Path) -> Result<()> {
        let png = self.client.screenshot().await?;
        std::fs::write(file, png).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The client itself, for elements and keys.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What the page wrote to its console.
    pub(crate) async fn console(&self) -> Result<Vec<String>> {
        let lines = self.issue("se/log", json!({ "type": "browser" })).await?;
        Ok(lines
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| line["message"].as_str().map(str::to_owned))
            .collect())
    }

    async fn issue(&self, path: &'static str, body: Value) -> Result<Value> {
        self.client
            .issue_cmd(VendorCommand { path, body })
            .await
            .with_context(|| format!("chromedriver refuses {path}"))
    }
}

/// chromedriver with `--port=0` says on which port it listens; nothing else can
/// have taken that port meanwhile.
async fn announced_port(driver: &mut Group) -> Result<u16> {
    let stdout = driver
        .child()
        .stdout
        .take()
        .context("chromedriver's output is not piped")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let Some((_, port)) = line.split_once("started successfully on port ") else {
            continue;
        };
        return Ok(port.trim_end_matches('.').parse()?);
    }
    bail!("chromedriver ended at once")
}

fn capabilities(programs: &Programs, profile: &Path, microphone: &Path) -> Map<String, Value> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--disable-gpu".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-default-apps".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-breakpad".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        // Pages in the background go on measuring.
        "--disable-background-timer-throttling".to_owned(),
        "--disable-backgrounding-occluded-windows".to_owned(),
        "--disable-renderer-backgrounding".to_owned(),
        "--autoplay-policy=no-user-gesture-required".to_owned(),
        "--use-fake-ui-for-media-stream".to_owned(),
        "--use-fake-device-for-media-stream".to_owned(),
        format!("--use-file-for-fake-audio-capture={}", microphone.display()),
        // The shell hides them even from a page that was given the microphone.
        "--disable-features=WebRtcHideLocalIpsWithMdns".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", profile.join("profile").display()),
    ];
    if is_root() {
        // Chromium refuses its sandbox to root; CI containers run as root.
        arguments.push("--no-sandbox".to_owned());
    }
    let options = json!({ "binary": programs.chromium, "args": arguments });
    // The driver opens a first page in the shell only by this name.
    let name = if programs.chromium.ends_with(SHELL) {
        "chrome-headless-shell"
    } else {
        "chrome"
    };
    let Value::Object(map) = json!({
        "browserName": name,
        "acceptInsecureCerts": true,
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    }) else {
        unreachable!("the literal above is an object");
    };
    map
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of one's own entry in /proc is the effective user.
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

/// A command that only chromedriver knows.
#[derive(Debug)]
struct VendorCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for VendorCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, UrlError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
