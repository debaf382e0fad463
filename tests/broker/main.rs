//! The broker tier: the program as users run it, against a real Apache Kafka.
//!
//! The brokers are those of `HOLDPOINT_TEST_BROKERS`, else one that `scripts/kafka up` starts. Where there can be none
//! the tier says so and passes, unless `HOLDPOINT_REQUIRE_BROKER` is set: then it fails.

mod fold;
mod inputs;
mod path;
mod policy;
mod recovery;
mod reproduction;
mod stalls;
mod steps;
mod support;
