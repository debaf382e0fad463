//! A history as git writes it, and what comes out.

mod agents;
mod measures;
mod output;
