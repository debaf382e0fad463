//! Holdpoint: the brake between what happens to services and what pipelines may do to them.
//!
//! In reading order: the nouns ([`model`]), the three stages of the path ([`ingest`], [`score`], [`gate`]), the path
//! over history ([`replay`]), events from a repository ([`import`]) and of fleets made up ([`sim`]), the bytes ([`wire`]);
//! then the engine ([`stream`]), the HTTP edge and the processes.
//! Without the feature `service` only the core is built: no Kafka, no server, no clock.

pub mod model;

pub mod ingest;
pub mod score;

pub mod gate;

pub mod replay;

pub mod import;

pub mod sim;

pub mod wire;

pub mod stream;

pub mod config;

#[cfg(feature = "service")]
pub mod api;
#[cfg(feature = "service")]
pub mod cli;
#[cfg(feature = "service")]
pub mod clock;
#[cfg(feature = "service")]
pub mod run;
#[cfg(feature = "service")]
pub mod telemetry;

/// Tests inside and outside the crate share helpers, which name it alike.
#[cfg(test)]
extern crate self as holdpoint;
