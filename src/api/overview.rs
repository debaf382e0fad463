//! All services at a glance: how many are held up, by what, and which are the riskiest.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::quality::RandomState;

use crate::{
    gate::{PAGE_ITEMS_MAX, StandingDecision, View},
    model::{Action, ServiceId, Timestamp, UnitInterval},
};

/// The riskiest services named, at most.
const RISKIEST_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct Overview {
    /// What holds up a service in an environment, the worst first.
    pub(super) held: Vec<Arc<StandingDecision>>,
    /// Services by the worst action that stands for one in any environment.
    pub(super) n_by_action: BTreeMap<Action, u32>,
    /// The riskiest services, worst first.
    pub(super) riskiest: Vec<(ServiceId, UnitInterval)>,
}

impl Overview {
    /// Looks at all of `view`: milliseconds for thousands of services, so never on a thread that serves others.
    pub(super) async fn of(view: Arc<View>, now: Timestamp) -> Self {
        let looked = tokio::task::spawn_blocking(move || Self::look(&view, now));
        looked.await.expect("it does not panic, and is not aborted")
    }

    fn look(view: &View, now: Timestamp) -> Self {
        let mut overview = Self {
            held: Vec::new(),
            n_by_action: Action::ALL.map(|action| (action, 0)).into(),
            riskiest: Vec::new(),
        };
        let mut risks: HashMap<ServiceId, UnitInterval, RandomState> = HashMap::default();
        let mut after = None;
        loop {
            let page = view.services(now, after.as_ref(), PAGE_ITEMS_MAX);
            for decision in page.items {
                overview.take_in(&decision, now, &mut risks);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        overview.riskiest = risks
            .into_iter()
            .filter(|(_, risk)| *risk > UnitInterval::ZERO)
            .collect();
        // By name where risks are equal: the order of a hash map reaches nobody.
        overview.riskiest.sort_unstable_by(|(a, risk_a), (b, risk_b)| {
            risk_b.value().total_cmp(&risk_a.value()).then_with(|| a.cmp(b))
        });
        overview.riskiest.truncate(RISKIEST_MAX);
        overview
    }

    /// Decisions come worst first: a service's first is its worst.
    fn take_in(
        &mut self,
        decision: &Arc<StandingDecision>,
        now: Timestamp,
        risks: &mut HashMap<ServiceId, UnitInterval, RandomState>,
    ) {
        let action = if decision.is_in_force(now) {
            decision.action
        } else {
            Action::Proceed
        };
        let risk = decision.risk.unwrap_or(UnitInterval::ZERO);
        let service = decision.subject.service();
        if let Some(known) = risks.get_mut(service) {
            if risk > *known {
                *known = risk;
            }
        } else {
            risks.insert(service.clone(), risk);
            *self.n_by_action.entry(action).or_default() += 1;
        }
        if action > Action::Proceed {
            self.held.push(decision.clone());
        }
    }
}
