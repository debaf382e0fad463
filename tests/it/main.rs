//! The core, from outside: no broker, no clock.

mod budget;
mod changes;
mod decisions;
mod freeze;
mod learning;
mod losses;
mod outlasting;
mod pages;
mod properties;
mod reference;
mod relapse;
mod schemas;
mod script;
mod stages;
mod support;
mod surroundings;
mod trend;
mod watches;
mod windows;
mod words;
