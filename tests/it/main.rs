//! The core, from outside: no broker, no clock.

mod decisions;
mod freeze;
mod properties;
mod schemas;
mod support;
mod words;
