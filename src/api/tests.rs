//! The edge from outside: over a socket, as clients meet it.

mod client;
mod fleet;
mod limits;
mod live;
mod owner;
mod page;
mod resources;
mod support;
