//! The core, from outside: no broker, no clock.

mod freeze;
mod schemas;
mod support;
