//! One file per process or command: settings, adapters and a stage. The only place where all meet.

mod books;
pub mod demo;
pub mod gate;
pub mod import;
mod ingest;
mod inputs;
pub mod overrides;
pub mod policy;
mod policy_file;
mod progress;
pub mod replay;
mod restore;
#[cfg(test)]
mod schedules;
mod score;
pub mod service;
mod stop;
mod supervise;
pub mod topics;
mod viewer;

use std::collections::BTreeMap;

pub use self::stop::stop_signal;
use crate::{config::Settings, stream::kafka::Connection};

/// How to reach the cluster that the settings name.
#[must_use]
pub fn connection(settings: &Settings) -> Connection {
    let properties: BTreeMap<String, String> = settings
        .kafka
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Connection {
        brokers: settings.brokers.clone(),
        properties,
    }
}
