//! The bytes: one file per topic, with its key, its value and its version. They mirror `schemas/`.

pub mod control;
pub mod events;
pub mod partition;
pub mod state;
