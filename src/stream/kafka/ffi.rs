//! The calls of librdkafka that the wrapper lacks or spoils: the only `unsafe` of the crate.

mod batch;
mod topics;

use std::ffi::{CStr, CString};

use rdkafka::{ClientContext, client::Client};
use rdkafka_sys as sys;

pub(super) use self::{batch::Batches, topics::topic_ids};
use super::fault::TransactionError;
use crate::{model::Offset, stream::TopicPartition};

/// Who a consumer is in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) generation: i32,
}

/// Commits the open transaction of a producer; waits as long as the transaction may last.
///
/// The wrapper's call polls for at least 100 ms first. Another thread must serve the producer's delivery reports.
/// On a retriable error the outcome is unknown: call again.
pub(super) fn commit_transaction<C: ClientContext>(producer: &Client<C>) -> Result<(), TransactionError> {
    // SAFETY: the pointer is that of a living client, which `producer` borrows; -1 is the documented "until the
    // transaction's own timeout", and any other bound may leave librdkafka's state behind the broker's.
    let error = unsafe { sys::rd_kafka_commit_transaction(producer.native_ptr(), -1) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: `error` is not null and ours until it is destroyed, which happens once, after its last use; its text is
    // copied before.
    let error = unsafe {
        let copy = TransactionError {
            code: sys::rd_kafka_error_code(error).into(),
            text: CStr::from_ptr(sys::rd_kafka_error_string(error))
                .to_string_lossy()
                .into_owned(),
            is_fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        copy
    };
    Err(error)
}

/// Who this consumer is; `None` while it has no member id or no generation.
pub(super) fn member<C: ClientContext>(consumer: &Client<C>) -> Option<Member> {
    // SAFETY: the pointer is that of a living client, which `consumer` borrows.
    let metadata = unsafe { sys::rd_kafka_consumer_group_metadata(consumer.native_ptr()) };
    if metadata.is_null() {
        return None;
    }
    // SAFETY: `metadata` is not null and ours until it is destroyed, which happens once, after its last use; a member
    // id is copied before, and librdkafka's accessor returns null where there is none.
    let member = unsafe {
        let id = sys::rd_kafka_consumer_group_metadata_member_id(metadata);
        let id = if id.is_null() {
            String::new()
        } else {
            CStr::from_ptr(id).to_string_lossy().into_owned()
        };
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        Member { id, generation }
    };
    (!member.id.is_empty() && member.generation >= 0).then_some(member)
}

/// The first offset that a partition still holds, as its last fetch said; `None` before that. No broker is asked.
pub(super) fn first_offset<C: ClientContext>(consumer: &Client<C>, partition: &TopicPartition) -> Option<Offset> {
    let topic = CString::new(&*partition.topic).ok()?;
    let (mut first, mut end) = (-1, -1);
    // SAFETY: the pointers are those of a living client, of a string and of two places that outlive the call.
    let error = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.native_ptr(),
            topic.as_ptr(),
            partition.partition.0,
            &raw mut first,
            &raw mut end,
        )
    };
    (error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && first >= 0).then_some(Offset(first))
}
