//! Which camera: by its name, or the first that there is.

use std::path::PathBuf;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{Error, trial};

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A drawn picture that moves and carries the wall clock, if it is at least 880
    /// pixels wide: see [`read_clock`](super::read_clock).
    Test,
    /// The test picture with a switch that makes it fail.
    Trial(trial::Switch),
    /// A camera of the kernel, such as `/dev/video0`.
    V4l2(String),
    /// A camera of libcamera, by its id or, if that is empty, the first: the cameras on
    /// a Raspberry Pi's ribbon cable, which the kernel alone cannot operate.
    Libcamera(String),
    /// A video file, played over and over. Whatever GStreamer decodes.
    File(PathBuf),
}

impl Source {
    /// The first camera that there is, else the test picture: those of libcamera that
    /// are on a ribbon cable, then those of the kernel. What was found and taken is
    /// logged.
    ///
    /// # Errors
    ///
    /// [`Error::Gstreamer`].
    pub fn auto() -> Result<Self, Error> {
        gst::init().map_err(|error| Error::Gstreamer(error.to_string()))?;
        let monitor = gst::DeviceMonitor::new();
        monitor.add_filter(Some("Video/Source"), None);
        if let Err(error) = monitor.start() {
            tracing::info!(%error, "cameras cannot be listed");
            return Ok(Self::Test);
        }
        let found = monitor.devices();
        monitor.stop();
        let (ribbon, other): (Vec<_>, Vec<_>) = found
            .iter()
            .partition(|device| device.type_().name() == LIBCAMERA_DEVICE);
        let ribbon = ribbon.iter().map(|device| device.display_name().into());
        let paths = other.iter().filter_map(|device| {
            let properties = device.properties()?;
            properties.get::<String>("device.path").ok()
        });
        let (ribbon, paths) = (sorted(ribbon), sorted(paths));
        let taken = first(&ribbon, &paths);
        tracing::info!(libcamera = ?ribbon, v4l2 = ?paths, ?taken, "the first camera is taken");
        Ok(taken)
    }
}

/// GStreamer's type of what libcamera's plug-in lists.
const LIBCAMERA_DEVICE: &str = "GstLibcameraDevice";

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// Which camera is taken of those that libcamera and the kernel list. A ribbon camera
/// goes first: the kernel lists it too, and cannot operate it. USB cameras are in both
/// lists, and the kernel's way to them is the one that knows JPEG; their ids are paths
/// of the device tree or of ACPI with `usb` in it.
fn first(libcamera: &[String], v4l2: &[String]) -> Source {
    let is_ribbon = |id: &&String| !id.to_ascii_lowercase().contains("usb");
    let ribbon = libcamera.iter().find(is_ribbon).cloned();
    let ribbon = ribbon.map(Source::Libcamera);
    let kernel = v4l2.first().cloned().map(Source::V4l2);
    ribbon.or(kernel).unwrap_or(Source::Test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ribbon_camera_goes_before_the_kernels_and_a_usb_camera_by_the_kernels_way() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let ribbon = "/base/soc/i2c0mux/i2c@1/imx219@10";
        let usb = "/base/soc/usb@7e980000/usb-port@1-1.2:1.0-046d:0825";
        let v4l2 = names(&["/dev/video0", "/dev/video14"]);
        let kernel = Source::V4l2("/dev/video0".to_owned());
        assert_eq!(
            first(&names(&[ribbon, usb]), &v4l2),
            Source::Libcamera(ribbon.to_owned())
        );
        assert_eq!(
            first(&names(&[usb, ribbon]), &[]),
            Source::Libcamera(ribbon.to_owned())
        );
        assert_eq!(first(&names(&[usb]), &v4l2), kernel);
        assert_eq!(first(&[], &v4l2), kernel);
        assert_eq!(first(&[], &[]), Source::Test);
    }
}
