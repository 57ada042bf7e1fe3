//! The messages on a control socket.

use aggctl_engine::{
    action::Notice, config::PortConfig, options::ActivePort, plan::LiveChange, record::Record, status::AggregateStatus,
};
use serde::{Deserialize, Serialize};

use crate::controller::RecordBehind;

/// What a command asks of a controller.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// What the engine knows.
    Status,
    /// Change live options, and then make a port active. All or nothing. (Under the names `set` and `set_options`
    /// others meant other layouts.)
    #[serde(rename = "change")]
    Set {
        /// The options.
        change: LiveChange,
        /// The port.
        active_port: Option<ActivePort>,
    },
    /// Add a port.
    AddPort {
        /// Its settings.
        port: PortConfig,
    },
    /// Remove a port.
    RemovePort {
        /// Its name.
        port: String,
    },
    /// Keep an aggregate that was attached with `--confirm`.
    Confirm,
    /// End the controller; the dataplane stays.
    Leave,
    /// Answer with every notice from now on.
    Monitor,
}

impl Request {
    /// Whether nothing comes of it to be asked twice.
    pub fn may_be_repeated(&self) -> bool {
        match self {
            Self::Status | Self::Monitor => true,
            Self::Set { .. } | Self::AddPort { .. } | Self::RemovePort { .. } | Self::Confirm | Self::Leave => false,
        }
    }
}

/// What a controller answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The request was received, and the loop that will carry it out turns. Sent again and again until that has another
    /// answer.
    Received,
    /// It was done.
    Done {
        /// What the owner should know all the same.
        warnings: Vec<String>,
    },
    /// It was not done.
    Refused {
        /// Why, in one line.
        reason: String,
    },
    /// The answer to [`Request::Status`].
    Status {
        /// What the engine knows.
        status: AggregateStatus,
        /// What the controller has in memory, without the journal. Older controllers did not tell.
        #[serde(default)]
        record: Option<Box<Record>>,
        /// Set while the record on disk is behind that.
        #[serde(default)]
        behind: Option<RecordBehind>,
    },
    /// One notice for [`Request::Monitor`].
    Notice {
        /// Milliseconds since the Unix epoch.
        at_ms: u64,
        /// What happened.
        notice: Notice,
    },
}
