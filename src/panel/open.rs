//! Which backend serves a panel of wires, and its lines.

use super::lines::{Inputs, LineButtons, LineError, LineLights, Outputs};
use super::settings::Settings;
use super::{Panel, cdev, rppal};
use crate::board::Gpio;

/// A panel of wires, through the backend that its wiring names.
///
/// # Errors
/// The lines cannot be opened; nothing is driven then.
pub fn open(settings: &Settings) -> Result<Panel, LineError> {
    match backend(settings.wiring.gpio) {
        Gpio::Rppal => panel(
            rppal::open(settings, Some(cdev::KERNEL_DEBOUNCE))?,
            settings,
        ),
        Gpio::Auto | Gpio::Gpiocdev | Gpio::Sim => {
            panel(cdev::open(settings, Some(cdev::KERNEL_DEBOUNCE))?, settings)
        }
    }
}

/// The backend that is meant: `auto` is `rppal` where a Raspberry Pi's registers may
/// be opened, else the character device.
pub(super) fn backend(gpio: Gpio) -> Gpio {
    let chosen = match gpio {
        Gpio::Auto if rppal::is_usable() => Gpio::Rppal,
        Gpio::Auto => Gpio::Gpiocdev,
        Gpio::Gpiocdev | Gpio::Rppal | Gpio::Sim => gpio,
    };
    tracing::info!(backend = chosen.name(), "the panel's lines");
    chosen
}

fn panel(
    (inputs, outputs): (impl Inputs + 'static, impl Outputs + 'static),
    settings: &Settings,
) -> Result<Panel, LineError> {
    let buttons = LineButtons::new(inputs, settings)?;
    let lights = LineLights::new(outputs, settings);
    Ok(Panel::new(lights, buttons).with_looks(settings.looks.clone()))
}
