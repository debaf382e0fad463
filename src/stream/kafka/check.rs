//! Whether librdkafka takes the operator's properties, before a cluster is asked anything.
//!
//! Only making a client tells: values are checked together, and files are read. A property that it refuses is refused for
//! ever, and a worker that is built again and again would only hide it.

use rdkafka::{ClientConfig, config::FromClientConfigAndContext, producer::BaseProducer};

use super::{Connection, Tuning, context::Plain, fault, reader::open};
use crate::stream::Fault;

/// Clients of a check are known to nobody.
const NAME: &str = "holdpoint-check";

impl Connection {
    /// Makes a client of each kind that an instance has, and lets go of it. None of them knows a broker.
    pub fn check(&self, tuning: &Tuning) -> Result<(), Fault> {
        let context = Plain::default();
        open(&alone(self.member(NAME, NAME, tuning)), &context)?;
        let transactional = alone(self.transactional(NAME, tuning));
        BaseProducer::from_config_and_context(&transactional, context)
            .map_err(|error| fault::fault("producer", &error))?;
        Ok(())
    }
}

/// Without brokers there is nobody to connect to, and without a group none to leave.
fn alone(mut config: ClientConfig) -> ClientConfig {
    config.remove("bootstrap.servers").remove("group.id");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(property: &str, value: &str) -> Result<(), Fault> {
        let connection = Connection {
            brokers: "127.0.0.1:1".to_owned(),
            // No file is looked for before TLS is.
            properties: [("security.protocol", "SSL"), (property, value)]
                .map(|(property, value)| (property.to_owned(), value.to_owned()))
                .into(),
        };
        connection.check(&Tuning::default())
    }

    /// Misspelt, out of range, a file that is not there, two that do not go together, and of producers alone.
    #[test]
    fn what_librdkafka_refuses_is_known_without_a_broker() {
        for (property, value, named) in [
            ("sasl.passwordx", "hush", "sasl.passwordx"),
            ("security.protocol", "hush", "security.protocol"),
            ("socket.timeout.ms", "1", "socket.timeout.ms"),
            ("ssl.certificate.location", "/no/such.pem", "ssl.certificate.location"),
            ("compression.type", "hush", "compression.type"),
            ("linger.ms", "900000", "linger.ms"),
        ] {
            match checked(property, value) {
                Err(Fault::Fatal(why)) => assert!(why.contains(named) && !why.contains("hush"), "{why}"),
                other => panic!("{property}: {other:?}"),
            }
        }
        assert_eq!(checked("socket.keepalive.enable", "true"), Ok(()));
    }
}
