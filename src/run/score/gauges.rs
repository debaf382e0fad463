//! What metrics and the page show of the partitions that are held here.

use std::time::Duration;

use super::Worker;
use crate::stream::Client;

impl<C: Client> Worker<C> {
    /// Counts what was taken in up to the positions that were just committed: whoever owns a partition next counts from
    /// there.
    pub(super) fn publish_counts(&mut self) {
        for live in self.live.values_mut() {
            live.publish_counts();
        }
    }

    /// Shows what is held here, be it nothing.
    pub(super) fn publish_held(&self) {
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge")]
        metrics::gauge!("holdpoint_partitions_assigned").set((self.live.len() + self.restoring.len()) as f64);
        self.publish_policies();
        self.publish_outlook();
    }

    fn publish_policies(&self) {
        let mut window = Duration::from_mins(10);
        let mut differing = 0_u32;
        let file = self.policy.current();
        for live in self.live.values() {
            window = window.min(live.state.dedupe_window());
            differing += u32::from(
                file.as_ref()
                    .is_some_and(|file| file.digest != live.state.policy().digest),
            );
        }
        metrics::gauge!("holdpoint_dedupe_window_seconds").set(window.as_secs_f64());
        metrics::gauge!("holdpoint_policy_partitions_differing").set(f64::from(differing));
    }

    /// Shows what the fleet knows, and no longer where its partition has gone. One that reads again what a former owner
    /// had read would show what is past.
    fn publish_outlook(&self) {
        let live = self.live.get(&self.fleet_partition()).filter(|live| live.is_whole());
        let outlook = live.map(|live| live.state.fleet().ai_outlook(live.state.now()));
        self.settings.ai.send_if_modified(|shown| {
            let is_other = *shown != outlook;
            *shown = outlook;
            is_other
        });
    }
}
