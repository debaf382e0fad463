//! The parts that are supervised: the view, the ingest worker, the score worker.

mod ingest;
mod score;
mod view;

use std::time::Duration;

pub(super) use self::{ingest::IngestPart, score::ScorePart, view::ViewPart};
use super::{Instance, probe::Probe};
use crate::{run::progress::Stuck, stream::kafka::KafkaClient};

/// How long a client may take to leave.
const CLOSE_MAX: Duration = Duration::from_secs(8);

fn close(client: KafkaClient) {
    if let Err(fault) = client.close(CLOSE_MAX) {
        tracing::warn!("a client did not end in time and is left to itself: {fault}");
    }
}

/// Has a worker that does not get on judged by another client's luck; says what is wrong, if it is the worker.
///
/// What is still being found out is about this client: a part that ends drops its `probe`.
fn judge(
    instance: &Instance,
    probe: &mut Option<Probe>,
    stuck: Option<Stuck>,
    excuse: impl FnOnce(),
) -> Option<String> {
    if let (None, Some(stuck)) = (&probe, stuck) {
        *probe = Some(Probe::start(instance, stuck));
    }
    let verdict = probe.as_ref()?.verdict()?;
    *probe = None;
    excuse();
    verdict.err()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{
        clock::Clock,
        config::{Flags, Settings},
        run::supervise::Life,
        stream::kafka::Tuning,
    };

    fn ended<P: Life>(mut part: P, probe: impl Fn(&mut P) -> &mut Option<Probe>) -> Option<Probe> {
        *probe(&mut part) = Some(Probe::that_found(Stuck::Outside, true));
        part.end();
        probe(&mut part).take()
    }

    #[test]
    fn what_is_found_out_of_a_client_is_not_held_against_the_next() {
        let flags = Flags::new();
        let (settings, _) =
            Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
        let instance = Instance::new(settings, Tuning::embedded(), Clock::wall()).expect("without a policy");
        let (_ask, queries) = mpsc::channel();
        for mut probe in [
            ended(ViewPart::new(instance.clone()), |part| &mut part.probe),
            ended(IngestPart::new(instance.clone()), |part| &mut part.probe),
            ended(ScorePart::new(instance.clone(), queries), |part| &mut part.probe),
        ] {
            assert_eq!(judge(&instance, &mut probe, None, || ()), None);
        }
    }
}
