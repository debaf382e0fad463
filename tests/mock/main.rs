//! The mock tier: the program as users run it, against librdkafka's mock cluster, which fails as a test asks.
//!
//! It holds the error paths: what a broker answers when it refuses, is busy, is gone. It cannot show what transactions
//! guarantee, for a mock cluster shows the records of aborted ones, forgets the positions sent with them and fences
//! nobody: that is the broker tier's. Nor does it append anything of a request that it answers with an error, so an
//! answer lost behind the append is not to be had here.

#[expect(dead_code, reason = "of a real broker's site and instances, what a mock one has too")]
#[path = "../broker/support.rs"]
mod broker;

mod aborts;
mod absence;
mod errors;
mod fences;
mod following;
mod inputs;
mod logs;
mod policy;
mod restores;
mod retries;
mod support;
