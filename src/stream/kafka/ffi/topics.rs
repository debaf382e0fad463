//! Which topics names stand for: the wrapper's metadata does not tell their ids.

use std::{
    ffi::{CStr, CString},
    ptr, slice,
    time::Duration,
};

use rdkafka::{ClientContext, client::Client};
use rdkafka_sys as sys;

/// The ids that `topics` have, each with its name. One that is not there or may not be seen has none, and brokers before
/// Kafka 2.8 give none.
pub(in crate::stream::kafka) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    bound: Duration,
) -> Vec<(String, String)> {
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let bound_ms = i32::try_from(bound.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives, as `client` borrows it, and so do the names, which librdkafka copies. What is made here is
    // ours until it is destroyed, once, after its last use. A bound that is refused leaves the option at its default, and
    // no text of it is asked for.
    unsafe {
        let api = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client.native_ptr(), api);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, bound_ms, ptr::null_mut(), 0);
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = sys::rd_kafka_queue_new(client.native_ptr());
        sys::rd_kafka_DescribeTopics(client.native_ptr(), collection, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, bound_ms);
        let ids = if event.is_null() { Vec::new() } else { described(event) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        sys::rd_kafka_AdminOptions_destroy(options);
        ids
    }
}

/// # Safety
/// `event` is a living one.
unsafe fn described(event: *mut sys::rd_kafka_event_t) -> Vec<(String, String)> {
    let mut n_topics = 0;
    // SAFETY: the event lives, as the caller says, and what it holds is read and copied before it ends; of an event of
    // another kind there is no result, and of one that failed there are no topics.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Vec::new();
        }
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut n_topics);
        if topics.is_null() {
            return Vec::new();
        }
        let topics = slice::from_raw_parts(topics, n_topics);
        topics.iter().filter_map(|topic| described_one(*topic)).collect()
    }
}

/// # Safety
/// `topic` is of a living event.
unsafe fn described_one(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<(String, String)> {
    // SAFETY: the topic lives, as the caller says, and its name and id with it; both are copied.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let is_there =
            error.is_null() || sys::rd_kafka_error_code(error) == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        if !is_there || id.is_null() {
            return None;
        }
        let is_zero =
            sys::rd_kafka_Uuid_most_significant_bits(id) == 0 && sys::rd_kafka_Uuid_least_significant_bits(id) == 0;
        let (name, id) = (
            sys::rd_kafka_TopicDescription_name(topic),
            sys::rd_kafka_Uuid_base64str(id),
        );
        if is_zero || name.is_null() || id.is_null() {
            return None;
        }
        let text = |text| CStr::from_ptr(text).to_string_lossy().into_owned();
        Some((text(name), text(id)))
    }
}
