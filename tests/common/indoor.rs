//! The hand of a person on the real indoor page, and an eye on what it shows.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::{Value, json};

use super::browser::Tab;
use super::pages::source;
use super::{DOOR_VOICE, PAGE_VOICE, PATIENCE, picture_clock};

/// The indoor page in a browser.
#[derive(Clone, Debug)]
pub(crate) struct Indoor {
    tab: Tab,
}

impl Indoor {
    /// Opens the page that the gateway at `url` serves; it shows the log-in.
    pub(crate) async fn open(tab: Tab, url: &str) -> Result<Self> {
        let voice = |voice: super::sound::Voice| json!({ "mark_hz": voice.mark_hz, "hum_hz": voice.hum_hz });
        let setting = json!({
            "clock": picture_clock(),
            "door": voice(DOOR_VOICE),
            "page": voice(PAGE_VOICE),
        });
        let observer = source("observe.js")?.replace("OBSERVE_SETTING", &setting.to_string());
        tab.before_each_page(&source("measure.js")?).await?;
        tab.before_each_page(&observer).await?;
        tab.goto(&format!("{url}/")).await?;
        let page = Self { tab };
        page.wait_state("login").await?;
        Ok(page)
    }

    /// Types name and password and sends them; does not wait for what comes of it.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<()> {
        for (id, text) in [("login-user", name), ("login-password", password)] {
            let field = self.find(id).await?;
            field.clear().await?;
            field.send_keys(text).await?;
        }
        self.press("login-submit").await
    }

    /// Clicks a control as a person does: it must be there and uncovered.
    pub(crate) async fn press(&self, id: &str) -> Result<()> {
        let control = self.find(id).await?;
        control
            .click()
            .await
            .with_context(|| format!("the control {id} cannot be pressed"))
    }

    /// Holds a control down with the mouse.
    pub(crate) async fn hold(&self, id: &str, time: Duration) -> Result<()> {
        let control = self.find(id).await?;
        let pointer = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement {
                element: control,
                duration: None,
                x: 0.0,
                y: 0.0,
            })
            .then(PointerAction::Down {
                button: MOUSE_BUTTON_LEFT,
            })
            .then(PointerAction::Pause { duration: time })
            .then(PointerAction::Up {
                button: MOUSE_BUTTON_LEFT,
            });
        let client = self.tab.client();
        client
            .perform_actions(pointer)
            .await
            .with_context(|| format!("the control {id} cannot be held"))
    }

    async fn find(&self, id: &str) -> Result<fantoccini::elements::Element> {
        self.tab
            .client()
            .find(Locator::Id(id))
            .await
            .with_context(|| format!("the page has no {id}"))
    }

    /// Waits until the page is in `state`.
    pub(crate) async fn wait_state(&self, state: &str) -> Result<()> {
        self.until(
            &format!("state {state}"),
            &format!("document.body.dataset.state === {state:?}"),
        )
        .await
    }

    /// Waits until the expression `condition` is true.
    pub(crate) async fn until(&self, what: &str, condition: &str) -> Result<()> {
        self.tab.until(what, PATIENCE, condition).await
    }

    /// Forgets what was seen and heard so far.
    pub(crate) async fn begin(&self) -> Result<()> {
        self.tab.run("observed.begin()", Value::Null).await?;
        Ok(())
    }

    /// Runs `body` in the page; `observed` and `measure` are there.
    pub(crate) async fn run(&self, body: &str) -> Result<Value> {
        self.tab.run(body, Value::Null).await
    }

    /// Saves what the page looks like as a PNG file.
    pub(crate) async fn screenshot(&self, file: &Path) -> Result<()> {
        self.tab.screenshot(file).await
    }

    /// Judges picture and sound of the call for `length`, and gives the figures.
    ///
    /// # Errors
    ///
    /// A sentence when the picture is black, still or slow, or the door is not heard.
    pub(crate) async fn prove_media(&self, length: Duration) -> Result<Value> {
        self.until("a picture", "observed.picture.frames > 15")
            .await?;
        self.until(
            "the door's tone",
            "observed.ear && observed.ear.onsets.length >= 2",
        )
        .await?;
        self.run("observed.picture.report({ reset: true })").await?;
        let figures = self
            .tab
            .run(
                "const rate = await measure.steadyFrameRate(observed.pc, args);
                 return { ...rate, ...observed.picture.report(), sound: observed.ear.report() };",
                json!(length.as_millis() as u64),
            )
            .await?;
        check_picture(&figures)?;
        Ok(figures)
    }
}

/// A script expression: whether the page shows the notice whose text has the key
/// `word` and tells of `name`, in whatever language the page is.
pub(crate) fn shows_notice(word: &str, name: &str) -> String {
    format!(
        "document.getElementById('notice').checkVisibility()
         && document.getElementById('notice-text').textContent
            === (await import('/words.js')).word({word:?}, {{ name: {name:?} }})"
    )
}

/// The picture's figures must show life: >= 25 frames a second, neither black nor
/// still, its clock readable.
pub(crate) fn check_picture(figures: &Value) -> Result<()> {
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    ensure!(
        number("fps") >= 25.0,
        "less than 25 frames a second: {figures}"
    );
    ensure!(
        number("brightness") > 20.0,
        "the picture is black: {figures}"
    );
    ensure!(number("change") > 0.002, "the picture is still: {figures}");
    ensure!(
        number("readings") > 10.0,
        "the picture's clock cannot be read: {figures}"
    );
    Ok(())
}
