//! What errors say themselves of where they come from.
//!
//! Some producers name the callee that failed (`upstream`), some the kind of error (`fingerprint`). The shares below are of
//! the errors beyond the usual ones, which name callees as they usually do and are of no new kind. The factors of blame's
//! weights:
//!
//! ```text
//!                          own deploys, callers'   callees                               background
//! most name a callee       1/20                    1/20 for a direct one not named       1
//! hardly any names one     1                       1/10                                  1
//! most are of new kinds    1                       3/10                                  3/10
//! hardly any is            3/10                    1                                     1
//! ```
//!
//! the second where this service has ever named one; the last two where most are of a kind, the third unless a callee is named.
//! Nothing is excluded: a deploy may break how a callee is called, and a callee's failure may show as a kind never seen. What
//! is behind a callee is not told of, and not weighed by it.

use super::Candidate;
use crate::{
    model::Path,
    score::{
        evidence::Since,
        kinds::{Kinds, Tag, UPSTREAMS_MAX},
    },
};

/// Shares that are most, and hardly any.
const MOST: f64 = 0.5;
const FEW: f64 = 0.2;
/// What counts for whose errors name another.
const OF_ANOTHER: f64 = 1.0 / 20.0;
/// What a callee counts for that would have been named.
const NOT_NAMED: f64 = 0.1;
/// What new kinds count against all but own deploys, and usual ones against those.
const UNLIKELY: f64 = 0.3;
/// A ratio below this leaves too few errors beyond the usual ones to say what those are of.
const RATIO_MIN: f64 = 1.2;

/// Shares of the errors beyond the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Hints {
    /// Those that name each of two callees, where some ever named any.
    upstreams: Option<[(Tag, f64); UPSTREAMS_MAX]>,
    /// Those that name any callee, likewise.
    named: Option<f64>,
    /// Those of new kinds, where most are of a kind.
    new: Option<f64>,
}

impl Hints {
    /// What `kinds` say of errors beyond the usual ones, of which the share `usually_named` names a callee; none: that is
    /// not known, or no error ever did. How many are beyond is what the evidence says `since` the onset.
    pub(crate) fn of(kinds: &Kinds, since: Since, usually_named: Option<f64>, knows_fingerprints: bool) -> Self {
        // Beside other versions only the new one's errors are evidence, and here are those of all.
        let (all, usual) = (kinds.errors(), kinds.errors() - since.excess());
        let ratio = if usual > 0.0 { all / usual } else { since.ratio() };
        if ratio < RATIO_MIN {
            return Self::default();
        }
        let upstreams = usually_named.map(|usually| {
            let (upstreams, named) = (kinds.upstreams(), kinds.named_share());
            let beyond = ((named * ratio - usually) / (ratio - 1.0)).clamp(0.0, 1.0);
            let of_each = upstreams.map(|(tag, share)| (tag, beyond * share / named.max(f64::MIN_POSITIVE)));
            (of_each, beyond)
        });
        let new = kinds.new_share().filter(|_| knows_fingerprints);
        Self {
            upstreams: upstreams.map(|(of_each, _)| of_each),
            named: upstreams.map(|(_, beyond)| beyond),
            new: new.map(|share| (share * ratio / (ratio - 1.0)).min(1.0)),
        }
    }

    fn name_a_callee(&self) -> bool {
        self.named.is_some_and(|named| named >= MOST)
    }

    fn are_new(&self) -> bool {
        self.new.is_some_and(|new| new >= MOST) && !self.name_a_callee()
    }

    fn are_usual(&self) -> bool {
        self.new.is_some_and(|new| new < FEW)
    }

    /// Whether something else than an own deploy is likelier by them.
    pub(super) fn speak_for_others(&self) -> bool {
        self.name_a_callee() || self.are_usual()
    }

    /// Which of `callees` most of them name.
    pub(crate) fn named_of<'a>(&self, mut callees: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let (tag, _) = self.upstreams?.into_iter().find(|(_, share)| *share >= MOST)?;
        callees.find(|name| Tag::of(name) == tag)
    }

    /// The factor of own deploys, and of callers'.
    pub(super) fn of_own(&self) -> f64 {
        let of_callee = if self.name_a_callee() { OF_ANOTHER } else { 1.0 };
        let of_usual = if self.are_usual() { UNLIKELY } else { 1.0 };
        of_callee * of_usual
    }

    /// That of what no deploy did.
    pub(super) fn of_background(&self) -> f64 {
        if self.are_new() { UNLIKELY } else { 1.0 }
    }

    /// That of what another service has.
    pub(super) fn of_other(&self, candidate: &Candidate) -> f64 {
        let Path::Callee(hops) = candidate.path else {
            return self.of_own();
        };
        let of_named = match (self.named, self.upstreams) {
            (Some(named), _) if named < FEW => NOT_NAMED,
            (Some(named), Some(upstreams)) if named >= MOST && hops == 1 => {
                let tag = Tag::of(candidate.service.as_str());
                let is_named = upstreams.iter().any(|(known, share)| *known == tag && *share >= FEW);
                if is_named { 1.0 } else { OF_ANOTHER }
            }
            _ => 1.0,
        };
        of_named * self.of_background()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, Second};

    fn callee(name: &str, hops: u8) -> Candidate {
        Candidate {
            deploy_id: None,
            service: name.parse().expect("a name"),
            path: Path::Callee(hops),
            state: Health::Unknown,
            started_at: Second::default(),
            stage_at: Second::default(),
            weight: 1.0,
            seen_from: Second::default(),
        }
    }

    fn hints(of_api: f64, new: Option<f64>) -> Hints {
        Hints {
            upstreams: Some([(Tag::of("api"), of_api), (Tag::default(), 0.0)]),
            named: Some(of_api),
            new,
        }
    }

    #[test]
    fn a_callee_that_is_named_is_likelier_and_one_that_is_not_less_likely() {
        let named = hints(0.9, None);
        let (api, other, behind) = (callee("api", 1), callee("db", 1), callee("db", 2));
        assert!(named.of_own() < 0.1 && named.of_other(&other) < 0.1 && named.speak_for_others());
        assert!((named.of_other(&api) - 1.0).abs() < 1e-9 && (named.of_other(&behind) - 1.0).abs() < 1e-9);
        let unnamed = hints(0.0, None);
        assert!((unnamed.of_own() - 1.0).abs() < 1e-9 && unnamed.of_other(&api) < 0.2 && !unnamed.speak_for_others());
        let silent = Hints::default();
        assert!((silent.of_own() - 1.0).abs() < 1e-9 && (silent.of_other(&api) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn new_kinds_speak_for_an_own_deploy_unless_they_name_a_callee() {
        let (new, usual) = (hints(0.3, Some(0.9)), hints(0.3, Some(0.1)));
        assert!(
            (new.of_own() - 1.0).abs() < 1e-9 && new.of_background() < 0.5 && new.of_other(&callee("api", 2)) < 0.5
        );
        assert!(usual.of_own() < 0.5 && (usual.of_background() - 1.0).abs() < 1e-9 && usual.speak_for_others());
        let of_callee = hints(0.9, Some(0.9));
        assert!((of_callee.of_background() - 1.0).abs() < 1e-9 && of_callee.of_own() < 0.1);
    }

    fn since(errors: f32, expected: f32) -> Since {
        Since {
            errors,
            expected,
            n_steps: 10,
        }
    }

    #[test]
    fn too_few_errors_beyond_the_usual_ones_say_nothing() {
        let kinds = Kinds::naming("api", 100, 100);
        let of = |expected: f32| Hints::of(&kinds, since(100.0, expected), Some(0.0), true);
        assert_eq!(of(90.0), Hints::default());
        assert!(of(30.0).name_a_callee());
        let unknown = Hints::of(&kinds, since(100.0, 30.0), None, true);
        assert!(!unknown.name_a_callee(), "what is usual is not known");
    }

    /// A gateway's errors are its callees': that says nothing of those that its own deploy adds.
    #[test]
    fn callees_that_usual_errors_name_are_not_named_by_the_others() {
        let kinds = Kinds::naming("api", 95, 200);
        let of = |usually: f64| Hints::of(&kinds, since(200.0, 100.0), Some(usually), false);
        let named = |usually: f64| of(usually).named.unwrap_or_default();
        assert!(named(0.95) < FEW && named(0.0) > MOST, "{} {}", named(0.95), named(0.0));
        assert_eq!(of(0.0).named_of(["db", "api"].into_iter()), Some("api"));
        assert_eq!(of(0.0).named_of(["db"].into_iter()), None);
    }

    /// Ten times the errors of a version with a twentieth of the traffic are a third of all.
    #[test]
    fn the_errors_of_a_canary_are_few_of_all() {
        let kinds = Kinds::naming("api", 95, 145);
        let hints = Hints::of(&kinds, since(50.0, 5.0), Some(0.95), false);
        assert!(!hints.name_a_callee(), "{hints:?}");
    }
}
