//! The core, from outside: no broker, no clock.

mod freeze;
mod properties;
mod schemas;
mod support;
mod words;
