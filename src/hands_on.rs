//! `doorstation leds test` and `doorstation buttons watch`: the configured panel,
//! tried by hand.

use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::config::checked::Panel;
use crate::panel::trial;
use crate::service::stop_on_signal;
use crate::tasks::Tasks;

/// Lights each light in turn.
///
/// # Errors
/// The lines cannot be opened or driven.
pub async fn test_lights(panel: Panel) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let opened = trial::open(&panel.settings).context("the panel's lines")?;
    let Some((_inputs, mut outputs)) = opened else {
        return Ok(trial::tell_simulated(&panel.settings, &mut out)?);
    };
    Ok(trial::test_lights(outputs.as_mut(), &panel.settings, &mut out).await?)
}

/// Shows what the contacts do until a signal, or for so many seconds.
///
/// # Errors
/// The lines cannot be opened or read.
pub async fn watch_buttons(panel: Panel, seconds: Option<u64>) -> anyhow::Result<()> {
    let opened = trial::open(&panel.settings).context("the panel's lines")?;
    let Some((mut inputs, _outputs)) = opened else {
        anyhow::bail!("the panel is simulated: its buttons are standard input; name a board");
    };
    let (stop, tasks) = (CancellationToken::new(), Tasks::new());
    stop_on_signal(&stop, seconds.map(Duration::from_secs), &tasks).context("signals")?;
    let stopped = stop.cancelled_owned();
    let mut out = std::io::stdout();
    let watched = trial::watch_buttons(inputs.as_mut(), &panel.settings, &mut out, stopped).await;
    tasks.stop().await;
    Ok(watched?)
}
