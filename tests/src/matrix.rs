//! Over which kinds of ports and hooks a test runs.

use std::{thread, time::Duration};

use crate::lab::Link;

/// The hook that the programs hang on, as `attach --hook` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tcx links.
    Tcx,
    /// Filters of the clsact qdisc.
    Clsact,
}

impl Hook {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// One case of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the ports are.
    pub link: Link,
    /// Where the programs hang.
    pub hook: Hook,
}

impl Case {
    /// Ports are veth, programs hang on tcx.
    pub const VETH_TCX: Self = Self { link: Link::Veth, hook: Hook::Tcx };
    /// Ports are veth, programs hang on clsact.
    pub const VETH_CLSACT: Self = Self { link: Link::Veth, hook: Hook::Clsact };
    /// Ports are tap, programs hang on tcx.
    pub const TAP_TCX: Self = Self { link: Link::Tap, hook: Hook::Tcx };
    /// Ports are tap, programs hang on clsact.
    pub const TAP_CLSACT: Self = Self { link: Link::Tap, hook: Hook::Clsact };

    /// Ping round trips that a failover may lose, at one ping in 10 ms.
    pub fn failover_limit(self) -> u64 {
        match self.link {
            Link::Veth => 2,
            Link::Tap => 4,
        }
    }
}

/// Prints why the calling test does not run.
pub fn skip(reason: &str) {
    println!("skipped: {}: {reason}", thread::current().name().unwrap_or("?"));
}

/// Why nothing can run here, or a case cannot.
pub fn unsupported(case: Case) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root to make network namespaces".to_owned());
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (case.hook == Hook::Tcx && version < (6, 6)).then(|| format!("tcx needs Linux 6.6, this is {release}"))
}

/// The longest that something may take which a controller does at once; generous, for busy machines.
pub const SOON: Duration = Duration::from_secs(10);

/// Makes a test of a function for each of the cases that are named: `cases!(survives: VETH_TCX, TAP_CLSACT)`.
#[macro_export]
macro_rules! cases {
    ($test:ident: $($case:ident),+ $(,)?) => {
        #[allow(non_snake_case, reason = "named as the cases are")]
        mod $test {
            $(
                #[test]
                fn $case() {
                    let case = $crate::Case::$case;
                    match $crate::matrix::unsupported(case) {
                        Some(reason) => $crate::skip(&reason),
                        None => super::$test(case),
                    }
                }
            )+
        }
    };
}
