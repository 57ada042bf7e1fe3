//! An interface whose carrier comes and goes, so that the kernel's linkwatch is never at rest and reports other
//! interfaces late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aggctl_testbed::tap::Tap;

use crate::{Namespace, wait};

/// Time between two changes.
const PERIOD: Duration = Duration::from_millis(70);

/// The flapping interface `flap0`; it goes when this is dropped.
#[derive(Debug)]
pub struct Flapping {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flapping {
    /// Makes the interface in `namespace` and lets it flap.
    pub fn start(namespace: &Namespace) -> Self {
        let tap = namespace.enter(|| Tap::new("flap0")).unwrap();
        namespace.ip("link set flap0 up");
        let ended = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                let mut on = false;
                while !ended.load(Ordering::Acquire) {
                    tap.set_carrier(on).unwrap();
                    on = !on;
                    wait::until(Instant::now() + PERIOD);
                }
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
