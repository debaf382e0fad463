//! What the program has counted, as anybody can read it under `/metrics`.

use metrics_exporter_prometheus::PrometheusHandle;

use crate::model::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) consumed: u64,
    pub(super) rejected: u64,
    /// By kind, in the order of [`Kind::ALL`].
    pub(super) applied: [u64; Kind::ALL.len()],
    pub(super) duplicates: u64,
    pub(super) late: u64,
    pub(super) decisions: u64,
}

impl Counts {
    pub(super) fn read(metrics: &PrometheusHandle) -> Self {
        Self::parse(&metrics.render())
    }

    fn parse(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<u64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "holdpoint_events_consumed_total" => counts.consumed += value,
                "holdpoint_events_rejected_total" => counts.rejected += value,
                "holdpoint_events_duplicate_total" => counts.duplicates += value,
                "holdpoint_events_late_total" => counts.late += value,
                "holdpoint_decisions_total" => counts.decisions += value,
                "holdpoint_events_applied_total" => {
                    let kind = Kind::ALL
                        .into_iter()
                        .find(|kind| labels.starts_with(&format!("kind=\"{}\"", kind.name())));
                    if let Some(kind) = kind {
                        counts.applied[kind.index()] += value;
                    }
                }
                _ => {}
            }
        }
        counts
    }

    pub(super) fn n_applied(&self) -> u64 {
        self.applied.iter().sum()
    }

    /// Records whose way is over: they are refused, or have changed state, or were seen before.
    pub(super) fn n_settled(&self) -> u64 {
        self.rejected + self.n_applied() + self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name() {
        let text = "# HELP holdpoint_events_applied_total …\nholdpoint_events_applied_total{kind=\"error\"} 40\n\
                    holdpoint_events_applied_total{kind=\"commit\"} 2\nholdpoint_events_duplicate_total 3\n\
                    holdpoint_events_rejected_total{topic=\"errors\",reason=\"empty\"} 1\n\
                    holdpoint_events_rejected_total{topic=\"deploys\",reason=\"not_json\"} 4\nother 9\n";
        let counts = Counts::parse(text);
        assert_eq!(counts.applied[Kind::Error.index()], 40);
        assert_eq!((counts.n_applied(), counts.rejected, counts.n_settled()), (42, 5, 50));
    }
}
