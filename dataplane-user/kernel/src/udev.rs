//! udev, which gives interfaces their names when they appear.

use std::path::Path;

use aggctl_common::IfIndex;

use crate::netns;

/// Where udev keeps its files.
const PLACE: &str = "/run/udev";

/// Whether udev has yet to name an interface that appeared. It renames an interface only while that is down, so whoever
/// takes it up earlier spoils its name. No if udev does not run, or not for this network namespace.
#[must_use]
pub fn is_busy_with(index: IfIndex) -> bool {
    netns::is_first() && is_busy_below(Path::new(PLACE), index)
}

/// udev is there while its control socket is, and writes `data/nINDEX` when it has finished with an interface.
fn is_busy_below(place: &Path, index: IfIndex) -> bool {
    place.join("control").exists() && !place.join(format!("data/n{index}")).exists()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_interface_is_left_to_udev_until_udev_has_written_it_down() {
        let place = tempfile::tempdir().unwrap();
        let busy = |index| is_busy_below(place.path(), IfIndex(index));
        assert!(!busy(7), "there is no udev");
        fs::create_dir(place.path().join("data")).unwrap();
        fs::write(place.path().join("control"), "").unwrap();
        assert!(busy(7));
        fs::write(place.path().join("data/n7"), "").unwrap();
        assert!(!busy(7));
        assert!(busy(77));
    }
}
