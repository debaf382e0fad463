//! Of all that a rise may be put down to, by its weight: who did it, and who is to be frozen for it.

use super::{BACKGROUND_PRIOR, Blamed, Candidate, Own, Rise, weight, weight_of_own};
use crate::model::{Health, MAX_SUSPECTS, Path, ServiceId, UnitInterval};

/// Of all that suffer, one must be ill of itself, and weigh at least so much of the greatest.
const ROOT: f64 = 0.1;
/// What is ill is frozen for in the place of the own deploy only where it is this likely, and so many times as likely: in
/// doubt the service itself is frozen.
const ELSEWHERE: f64 = 0.5;
const ELSEWHERE_TIMES: f64 = 2.0;

/// What a rise of errors is put down to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posterior {
    /// The likeliest first, at most three.
    pub(crate) blamed: Box<[Blamed]>,
    pub(crate) whose: Whose,
    /// Whether the likeliest that is ill of itself is held for it.
    pub(crate) is_held: bool,
}

/// Who is to be frozen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The service itself.
    Own,
    /// A callee's deploy goes better with it than any own, and the callee is not ill, yet perhaps.
    Doubtful,
    /// What it calls is ill, and that explains it.
    Elsewhere,
    /// What it calls, by what most errors say.
    Named,
}

/// The posterior over the own deploys, what others have and the background.
pub(crate) fn put_down(rise: &Rise<'_>, own: &[Own<'_>], others: &[Candidate]) -> Posterior {
    let mut ranking = Ranking::of(rise, own, others);
    let whose = ranking.whose(rise.named);
    let is_held = ranking.root().is_some_and(|root| root.is_held);
    if let Some(name) = rise.named.filter(|_| ranking.is_named(rise.named)) {
        // Trouble there, with no deploy to blame.
        for background in ranking.weighed.iter_mut().filter(|weighed| weighed.is_background) {
            background.blamed.of = name.parse().ok().map(Box::new);
        }
    }
    let blamed = ranking.weighed.into_iter().take(MAX_SUSPECTS).map(|weighed| Blamed {
        probability: UnitInterval::clamped(weighed.weight / ranking.total).rounded().value(),
        ..weighed.blamed
    });
    Posterior {
        blamed: blamed.collect(),
        whose,
        is_held,
    }
}

/// All that a rise may be put down to.
struct Ranking {
    /// The heaviest first.
    weighed: Vec<Weighed>,
    total: f64,
    of_convicted: f64,
    of_background: f64,
}

impl Ranking {
    fn of(rise: &Rise<'_>, own: &[Own<'_>], others: &[Candidate]) -> Self {
        let greatest = own.iter().map(|own| own.ln_e).fold(f64::NEG_INFINITY, f64::max);
        let convicted = own.iter().find(|own| Some(own.deploy_id) == rise.convicted);
        let of_convicted = convicted.map_or(0.0, |own| weight_of_own(own, greatest, &rise.hints));
        let of_background = BACKGROUND_PRIOR * rise.hints.of_background();
        let of_background = match convicted {
            Some(own) if !rise.is_shared && !own.came_after && !rise.hints.speak_for_others() => {
                of_background.min(0.5 * of_convicted)
            }
            Some(_) | None => of_background,
        };
        let mut weighed: Vec<Weighed> = own
            .iter()
            .map(|own| Weighed::own(Some(own.deploy_id), weight_of_own(own, greatest, &rise.hints)))
            .collect();
        weighed.extend(others.iter().map(|other| Weighed::of_other(other, rise)));
        weighed.push(Weighed::background(of_background));
        let total: f64 = weighed.iter().map(|weighed| weighed.weight).sum();
        weighed.sort_by(|a, b| {
            let name = |weighed: &Weighed| (weighed.blamed.of.clone(), weighed.blamed.deploy_id.clone());
            b.weight.total_cmp(&a.weight).then_with(|| name(a).cmp(&name(b)))
        });
        Self {
            weighed,
            total,
            of_convicted,
            of_background,
        }
    }

    /// Who is to be frozen for it; `named` is what it calls that most errors name.
    fn whose(&self, named: Option<&str>) -> Whose {
        if self.leads(Says::Ill) && self.root().is_some() {
            Whose::Elsewhere
        } else if self.is_named(named) {
            Whose::Named
        } else if self.leads(Says::NotIll) {
            Whose::Doubtful
        } else {
            Whose::Own
        }
    }

    /// Whether those of which that is said lead, and are likely enough to be it in the place of the own deploy.
    fn leads(&self, says: Says) -> bool {
        let of = self.sum(|weighed| weighed.says == says);
        self.weighed.first().is_some_and(|leading| leading.says == says)
            && of >= ELSEWHERE * (self.total - self.of_background)
            && of >= ELSEWHERE_TIMES * self.of_convicted
    }

    /// The likeliest where trouble may have begun, if it weighs enough for that.
    fn root(&self) -> Option<&Weighed> {
        let greatest = self.weighed.first().map_or(0.0, |leading| leading.weight);
        let root = self.weighed.iter().find(|weighed| weighed.is_root);
        root.filter(|root| root.weight >= ROOT * greatest)
    }

    /// Whether it is of what most errors name: that or nobody leads, and all others are likelier than the own deploys.
    fn is_named(&self, named: Option<&str>) -> bool {
        let of_own = self.sum(Weighed::is_own_deploy);
        let leading = self.weighed.first();
        named.is_some()
            && leading.is_some_and(|leading| leading.is_background || leading.is_of(named))
            && self.total - of_own >= ELSEWHERE_TIMES * of_own
    }

    /// The weight of those that are so.
    fn sum(&self, is: impl Fn(&Weighed) -> bool) -> f64 {
        let weighed = self.weighed.iter().filter(|weighed| is(weighed));
        weighed.map(|weighed| weighed.weight).sum()
    }
}

/// One with its weight, and what a callee's illness has to say of it.
struct Weighed {
    blamed: Blamed,
    weight: f64,
    says: Says,
    /// Whether trouble may have begun there.
    is_root: bool,
    is_held: bool,
    is_background: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    /// It is of a callee that is not ill.
    NotIll,
    Ill,
}

impl Weighed {
    fn own(deploy_id: Option<&str>, weight: f64) -> Self {
        Self {
            blamed: Blamed {
                deploy_id: deploy_id.map(Into::into),
                of: None,
                probability: 0.0,
            },
            weight,
            says: Says::Nothing,
            is_root: false,
            is_held: false,
            is_background: false,
        }
    }

    /// None of the deploys.
    fn background(weight: f64) -> Self {
        Self {
            is_background: true,
            ..Self::own(None, weight)
        }
    }

    fn is_of(&self, service: Option<&str>) -> bool {
        self.blamed.of.as_deref().map(ServiceId::as_str) == service
    }

    fn is_own_deploy(&self) -> bool {
        self.blamed.of.is_none() && self.blamed.deploy_id.is_some()
    }

    fn of_other(candidate: &Candidate, rise: &Rise<'_>) -> Self {
        let says = match (candidate.path, candidate.state) {
            (Path::Caller, _) => Says::Nothing,
            (Path::Callee(_), Health::Ill { .. } | Health::Suffers { .. }) => Says::Ill,
            // One that tells nothing, and of which many suffer.
            (Path::Callee(_), Health::Unknown) if rise.is_shared => Says::Ill,
            (Path::Callee(_), Health::Unknown | Health::Well) => Says::NotIll,
        };
        Self {
            blamed: Blamed {
                deploy_id: candidate.deploy_id.clone(),
                of: Some(Box::new(candidate.service.clone())),
                probability: 0.0,
            },
            weight: weight(candidate, rise),
            is_root: says == Says::Ill && !matches!(candidate.state, Health::Suffers { .. }),
            is_held: says == Says::Ill && matches!(candidate.state, Health::Ill { is_held: true, .. }),
            is_background: false,
            says,
        }
    }
}
