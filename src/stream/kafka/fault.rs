//! What librdkafka's errors mean for who called: every one is classified here and nowhere else.

use rdkafka::{
    error::{KafkaError, RDKafkaError},
    types::RDKafkaErrorCode as Code,
};

use crate::stream::Fault;

/// An error of the transactional calls, with what librdkafka says may be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransactionError {
    pub(super) code: Code,
    pub(super) text: String,
    pub(super) is_fatal: bool,
    pub(super) is_retriable: bool,
    pub(super) requires_abort: bool,
}

impl From<&RDKafkaError> for TransactionError {
    fn from(error: &RDKafkaError) -> Self {
        Self {
            code: error.code(),
            text: error.string(),
            is_fatal: error.is_fatal(),
            is_retriable: error.is_retriable(),
            requires_abort: error.txn_requires_abort(),
        }
    }
}

impl TransactionError {
    /// `Aborted` means that it must be, not that it has been.
    pub(super) fn fault(&self, what: &str) -> Fault {
        let text = format!("{what}: {}", self.text);
        if is_fenced(self.code) && (self.is_fatal || !self.requires_abort) {
            Fault::Fenced(text)
        } else if self.is_fatal {
            Fault::Fatal(text)
        } else if self.requires_abort {
            Fault::Aborted(text)
        } else if self.is_retriable {
            Fault::Retry(text)
        } else {
            Fault::Fatal(text)
        }
    }
}

/// The fault that `error` of `what` is.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open: what is not known to pass is fatal"
)]
pub(super) fn fault(what: &str, error: &KafkaError) -> Fault {
    let text = match error {
        // The whole error repeats the value, and a name that is misspelt may be that of a password.
        KafkaError::ClientConfig(_, why, name, _) => format!("{what}: property {name}: {}", without_value(why)),
        error => format!("{what}: {error}"),
    };
    match error {
        KafkaError::Transaction(error) => TransactionError::from(error).fault(what),
        KafkaError::MessageConsumptionFatal(code) if is_fenced(*code) => Fault::Fenced(text),
        KafkaError::ClientCreation(why) if is_shortage(why) => Fault::Retry(text),
        KafkaError::MessageConsumptionFatal(_) | KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => {
            Fault::Fatal(text)
        }
        // These carry no code, only librdkafka's text for one; all come from states that pass.
        KafkaError::Seek(_) | KafkaError::PauseResume(_) => Fault::Retry(text),
        other => match other.rdkafka_error_code() {
            Some(code) => by_code(code, text),
            None => Fault::Fatal(text),
        },
    }
}

/// librdkafka's reason, but for the value that some reasons quote: a password may stand under a wrong name. It is quoted
/// as it is, so that where it ends cannot be told.
fn without_value(why: &str) -> &str {
    ["Invalid value", "Unsupported value"]
        .into_iter()
        .find(|quoting| why.starts_with(quoting))
        .unwrap_or(why.trim_end())
}

/// Whether a client could not be made for want of threads; all else is its properties.
fn is_shortage(why: &str) -> bool {
    why.starts_with("Failed to create thread") || why.starts_with("Timed out waiting for")
}

/// The fault that a bare code is, outside of transactions.
pub(super) fn by_code(code: Code, text: String) -> Fault {
    if is_fenced(code) {
        Fault::Fenced(text)
    } else if is_passing(code) {
        Fault::Retry(text)
    } else {
        Fault::Fatal(text)
    }
}

fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId
    )
}

/// Whether the same call may succeed later without anyone doing anything.
pub(super) fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            // librdkafka lets go of a broker that left the cluster, with what it was being asked.
            | Code::DestroyBroker
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::WaitCache
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Outdated
            | Code::State
            | Code::UnknownPartition
            | Code::UnknownTopic
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::RebalanceInProgress
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::UnknownTopicOrPartition
            | Code::ThrottlingQuotaExceeded
            | Code::QueueFull
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    fn error(code: Code, is_fatal: bool, is_retriable: bool, requires_abort: bool) -> TransactionError {
        TransactionError {
            code,
            text: String::new(),
            is_fatal,
            is_retriable,
            requires_abort,
        }
    }

    /// A newer producer with our name is told from a broken client, and both from what an abort mends.
    #[test]
    fn errors_of_transactions_have_one_meaning() {
        let cases = [
            (error(Code::Fenced, true, false, false), "fenced"),
            (error(Code::ProducerFenced, false, false, false), "fenced"),
            (
                error(Code::InvalidProducerEpoch, false, false, true),
                "transaction aborted",
            ),
            (
                error(Code::OutOfOrderSequenceNumber, true, false, false),
                "client failed",
            ),
            (error(Code::UnknownMemberId, false, false, true), "transaction aborted"),
            (error(Code::OperationTimedOut, false, true, false), "not now"),
            (error(Code::State, false, false, false), "client failed"),
        ];
        for (error, expected) in cases {
            assert!(error.fault("commit").to_string().starts_with(expected), "{error:?}");
        }
    }

    /// As librdkafka 2.12 words them: flags, words, words of this build, and the names and numbers that tell nothing.
    #[test]
    fn a_refused_value_is_not_repeated() {
        for (why, expected) in [
            (
                "Invalid value \"hush\" for configuration property \"debug\"",
                "Invalid value",
            ),
            (
                "Invalid value for configuration property \"isolation.level\": hush",
                "Invalid value",
            ),
            (
                "Unsupported value \"hush\" for configuration property \"a\": no hush here",
                "Unsupported value",
            ),
            (
                "Expected bool value for \"a\": true or false",
                "Expected bool value for \"a\": true or false",
            ),
            (
                "Configuration property \"a\" value 1 is outside allowed range 2..3\n",
                "Configuration property \"a\" value 1 is outside allowed range 2..3",
            ),
        ] {
            let error = KafkaError::ClientConfig(
                RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
                why.to_owned(),
                "a".to_owned(),
                "hush".to_owned(),
            );
            assert_eq!(
                fault("consumer", &error),
                Fault::Fatal(format!("consumer: property a: {expected}"))
            );
        }
    }

    #[test]
    fn no_client_for_want_of_threads_passes_and_for_its_properties_does_not() {
        let made = |why: &str| fault("consumer", &KafkaError::ClientCreation(why.to_owned()));
        let short = made("Failed to create thread: Resource temporarily unavailable (11)");
        assert!(matches!(short, Fault::Retry(_)), "{short}");
        let refused = made("ssl.ca.location failed: No such file or directory");
        assert!(matches!(refused, Fault::Fatal(_)), "{refused}");
    }

    #[test]
    fn a_broker_out_of_reach_passes_and_a_refusal_does_not() {
        for code in [Code::BrokerTransportFailure, Code::DestroyBroker] {
            let passing = fault("end", &KafkaError::MetadataFetch(code));
            assert!(matches!(passing, Fault::Retry(_)), "{passing}");
        }
        let refused = fault("end", &KafkaError::MetadataFetch(Code::TopicAuthorizationFailed));
        assert!(matches!(refused, Fault::Fatal(_)), "{refused}");
        let fenced = fault("poll", &KafkaError::MessageConsumptionFatal(Code::FencedInstanceId));
        assert!(matches!(fenced, Fault::Fenced(_)), "{fenced}");
    }
}
