//! Records of one partition, many at a time: the wrapper's call takes a lock, two readings of the clock and an
//! allocation for each.

use std::{ffi::CString, fmt, marker::PhantomData, ptr, slice, sync::Arc};

use rdkafka::{
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    types::RDKafkaErrorCode,
};
use rdkafka_sys as sys;

use crate::{
    model::{Offset, Timestamp},
    stream::{Header, Record},
};

/// Fetched at once, at most; they stay ours until they are given, or dropped.
const RECORDS_MAX: usize = 512;

/// A partition's queue, and what was taken from it and not given yet.
///
/// It is another hand on a queue that was split off the consumer's: it must be one, for a batch of the main queue would
/// swallow rebalances.
pub(in crate::stream::kafka) struct Batches<C: ConsumerContext> {
    queue: *mut sys::rd_kafka_queue_t,
    /// Null from the one given on backwards.
    messages: Vec<*mut sys::rd_kafka_message_t>,
    next: usize,
    /// The client that the queue is of lives as long as this.
    _consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues and messages may be used from any thread, by one at a time; `&mut self` sees to that.
unsafe impl<C: ConsumerContext> Send for Batches<C> {}

impl<C: ConsumerContext> fmt::Debug for Batches<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

impl<C: ConsumerContext> Batches<C> {
    /// Of a partition whose queue is split off; `None` where there is none.
    pub(in crate::stream::kafka) fn of(consumer: &Arc<BaseConsumer<C>>, topic: &str, partition: i32) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the pointers are those of a living client and of a string that outlives the call.
        let queue =
            unsafe { sys::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition) };
        (!queue.is_null()).then(|| Self {
            queue,
            messages: Vec::with_capacity(RECORDS_MAX),
            next: 0,
            _consumer: Arc::clone(consumer),
        })
    }

    /// Whether all that was taken from the queue was given.
    pub(in crate::stream::kafka) fn is_empty(&self) -> bool {
        self.next == self.messages.len()
    }

    /// Lets go of what was taken and not given.
    pub(in crate::stream::kafka) fn clear(&mut self) {
        for message in self.messages.drain(self.next..) {
            // SAFETY: it was popped, is ours, and was not destroyed: what is, lies before `next`.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        self.messages.clear();
        self.next = 0;
    }

    /// The next that has arrived, never waiting.
    pub(in crate::stream::kafka) fn next(&mut self) -> Option<Arrived<'_>> {
        if self.is_empty() {
            self.refill();
        }
        let message = *self.messages.get(self.next)?;
        self.next += 1;
        Some(Arrived {
            message,
            _of: PhantomData,
        })
    }

    fn refill(&mut self) {
        self.messages.clear();
        self.next = 0;
        // SAFETY: the queue is living, the vector has room for as many pointers as are asked for, and its length is set
        // to those that were written: the call says how many, or -1.
        unsafe {
            let n = sys::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), RECORDS_MAX);
            self.messages.set_len(usize::try_from(n).unwrap_or(0));
        }
    }
}

impl<C: ConsumerContext> Drop for Batches<C> {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: the handle is ours, used no more, and its client lives: it is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// A record, or an error in its place; let go of when dropped.
pub(in crate::stream::kafka) struct Arrived<'a> {
    message: *mut sys::rd_kafka_message_t,
    _of: PhantomData<&'a mut ()>,
}

impl Arrived<'_> {
    /// What came instead of a record, with the client's words.
    pub(in crate::stream::kafka) fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        let error = self.raw().err;
        (error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
            let text = bytes(self.raw().payload, self.raw().len).unwrap_or_default();
            (error.into(), String::from_utf8_lossy(text).into_owned())
        })
    }

    pub(in crate::stream::kafka) fn offset(&self) -> Offset {
        Offset(self.raw().offset)
    }

    /// Lends it in the form that workers know.
    pub(in crate::stream::kafka) fn lend<T>(&self, each: impl FnOnce(&Record<'_>) -> T) -> T {
        let raw = self.raw();
        each(&Record {
            offset: self.offset(),
            timestamp: self.timestamp(),
            key: bytes(raw.key, raw.key_len),
            value: bytes(raw.payload, raw.len),
            headers: &|| self.headers(),
        })
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: it was popped and is destroyed by our drop only.
        unsafe { &*self.message }
    }

    fn timestamp(&self) -> Option<Timestamp> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is living, and `kind` outlives the call.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.message, &raw mut kind) };
        let is_there = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis != -1;
        is_there.then(|| Timestamp::from_millis(millis))
    }

    fn headers(&self) -> Vec<Header> {
        let mut list = ptr::null_mut();
        // SAFETY: the message is living; the list stays its own, and is used no longer than it.
        let error = unsafe { sys::rd_kafka_message_headers(self.message, &raw mut list) };
        let mut headers = Vec::new();
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
            return headers;
        }
        loop {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the list is living, and the places for the answer outlive the call.
            let error = unsafe {
                sys::rd_kafka_header_get_all(list, headers.len(), &raw mut name, &raw mut value, &raw mut size)
            };
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return headers;
            }
            // SAFETY: librdkafka ends names with a zero, and both are copied while the message lives.
            let name = unsafe { std::ffi::CStr::from_ptr(name) };
            headers.push(Header {
                name: name.to_string_lossy().into(),
                value: bytes(value, size).map(<[u8]>::to_vec),
            });
        }
    }
}

impl Drop for Arrived<'_> {
    fn drop(&mut self) {
        // SAFETY: it was popped, is ours, and is destroyed once: it lies before the next to be given.
        unsafe { sys::rd_kafka_message_destroy(self.message) };
    }
}

/// What `start` points at; `None` where it points nowhere: a null is not an empty value.
fn bytes<'a>(start: *const std::ffi::c_void, size: usize) -> Option<&'a [u8]> {
    // SAFETY: callers give a pointer and a size out of one living message, and use the bytes no longer than it.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), size) })
}
