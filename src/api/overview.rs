//! All services at a glance: how many are held up, by what, and which are the riskiest.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    gate::{ServiceCursor, StandingDecision, View},
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
    /// Looks at all of `view`: a tenth of a second and more for a million services, so never on a thread that serves others.
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
        // One pass: page by page, each page looks at all there are.
        view.each_service(|decisions| overview.take_in(decisions, now));
        overview
            .held
            .sort_by_cached_key(|decision| ServiceCursor::of(decision, now));
        overview
    }

    /// Takes in the decisions on one service.
    fn take_in(&mut self, decisions: &mut dyn Iterator<Item = &Arc<StandingDecision>>, now: Timestamp) {
        let mut worst: Option<(&ServiceId, Action, UnitInterval)> = None;
        for decision in decisions {
            let action = if decision.is_in_force(now) {
                decision.action
            } else {
                Action::Proceed
            };
            let risk = decision.risk.unwrap_or(UnitInterval::ZERO);
            let (_, action_known, risk_known) = worst.unwrap_or((decision.subject.service(), action, risk));
            let riskier = if risk > risk_known { risk } else { risk_known };
            worst = Some((decision.subject.service(), action.max(action_known), riskier));
            if action > Action::Proceed {
                self.held.push(decision.clone());
            }
        }
        if let Some((service, action, risk)) = worst {
            *self.n_by_action.entry(action).or_default() += 1;
            self.note_risk(service, risk);
        }
    }

    /// By name where risks are equal: the order of a hash map reaches nobody.
    fn note_risk(&mut self, service: &ServiceId, risk: UnitInterval) {
        let is_before = |(known, known_risk): &(ServiceId, UnitInterval)| {
            *known_risk > risk || (*known_risk == risk && known < service)
        };
        let place = self.riskiest.partition_point(is_before);
        if risk > UnitInterval::ZERO && place < RISKIEST_MAX {
            self.riskiest.insert(place, (service.clone(), risk));
            self.riskiest.truncate(RISKIEST_MAX);
        }
    }
}
