//! The properties that may not be set, each with the reason.

const COMMITTED: &str = "records of aborted transactions must not be read";
const OFFSETS: &str = "offsets are committed in the transaction that writes what came of them";
const DELIVERY: &str = "every write must be acknowledged by all replicas in sync, once and in order";
const FIXED_ID: &str = "it is made from `group` and `instance`, so that a restarted instance fences its former self";
const TRANSACTION: &str = "it is 10 s, so that a stopped instance holds up readers no longer";
const SESSION: &str = "it is 10 s, so that a stopped instance's partitions move on in time";
const HANG: &str = "it is 60 s, so that a worker that hangs gives its partitions up in time";
const SIZE: &str = "what is too large is for the broker to say, by its `max.message.bytes`";
const ROOM: &str = "it has room for the largest transaction";
const GROUP_PROTOCOL: &str = "partitions move by the classic protocol and its cooperative-sticky assignor";
const PARTITION: &str = "the partition of every record is set by number, so that a service has one owner";
const BEGINNING: &str = "inputs never seen are read from their beginning, and state from its snapshot";
const END: &str = "where a partition ends is asked of the broker";
const CREATION: &str = "topics are created by `holdpoint topics ensure`, or their partition counts would be wrong";
const BROKERS: &str = "use the setting `brokers`";
const GROUP: &str = "use the setting `group`";
const INSTANCE: &str = "use the setting `instance`";
const CLIENT_ID: &str = "it is made from the settings `group` and `instance`";
const LOG_LEVEL: &str = "its name is `log_level`, which only the file can say";

/// Why `property` may not be set; `None` if it may.
pub(super) fn reason(property: &str) -> Option<&'static str> {
    Some(match property {
        "isolation.level" => COMMITTED,
        "enable.auto.commit"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "enable.auto.offset.store"
        | "offset.store.method"
        | "offset.store.path"
        | "offset.store.sync.interval.ms" => OFFSETS,
        "acks"
        | "request.required.acks"
        | "enable.idempotence"
        | "enable.gapless.guarantee"
        | "message.timeout.ms"
        | "delivery.timeout.ms"
        | "delivery.report.only.error"
        | "queuing.strategy" => DELIVERY,
        _ if property.starts_with("max.in.flight") => DELIVERY,
        "transactional.id" => FIXED_ID,
        "transaction.timeout.ms" => TRANSACTION,
        "session.timeout.ms" | "heartbeat.interval.ms" => SESSION,
        "max.poll.interval.ms" => HANG,
        "message.max.bytes" => SIZE,
        "queue.buffering.max.messages" | "queue.buffering.max.kbytes" => ROOM,
        "partition.assignment.strategy" | "group.protocol" | "group.protocol.type" | "group.remote.assignor" => {
            GROUP_PROTOCOL
        }
        "partitioner" => PARTITION,
        "auto.offset.reset" => BEGINNING,
        "enable.partition.eof" => END,
        "allow.auto.create.topics" => CREATION,
        "bootstrap.servers" | "metadata.broker.list" => BROKERS,
        "group.id" => GROUP,
        "group.instance.id" => INSTANCE,
        "client.id" => CLIENT_ID,
        "log.level" => LOG_LEVEL,
        _ => return None,
    })
}
