//! Which values of two policies differ: what a comparison of them is about.
//!
//! The values are those of [`explain`](super::explain()), tier by tier, then of each environment and service that either
//! file names, where these differ in another way than their tier does. In which tier a service is the catalog may say, so
//! that all tiers are asked about everywhere.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Asked, Faults, Policy,
    explain::{File, values},
};
use crate::model::{Criticality, EnvironmentId, Level, Timestamp};

/// A key, and what it says in either policy; `None` where it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub key: String,
    pub a: Option<String>,
    pub b: Option<String>,
}

/// All of them, in the order of `policy explain`: values, rules, windows. People are in no value. Errs with the faults of
/// either text.
pub fn differences(a: &str, b: &str) -> Result<Vec<Difference>, Faults> {
    let sides = Sides {
        policies: [Policy::parse(a)?, Policy::parse(b)?],
        files: [File::of(a), File::of(b)],
    };
    let mut found = sides.tiers();
    sides.environments(&mut found);
    sides.services(&mut found);
    found.extend(sides.levels());
    found.extend(sides.rules());
    found.extend(sides.windows());
    Ok(found)
}

struct Sides<'a> {
    policies: [Policy; 2],
    files: [File<'a>; 2],
}

/// A key and its two values, which may be the same.
type Pair = (&'static str, [String; 2]);

/// What both say of a service, for each tier that the catalog may have it in; key by key the same.
type ByTier = [(Criticality, Vec<Pair>); Criticality::ALL.len()];

/// The key of a service's tier: its value alone depends on what the catalog says.
const TIER: &str = "tier";

impl Sides<'_> {
    /// What both say of a service.
    fn pairs(&self, service: &str, environment: &str, tier: Criticality) -> Vec<Pair> {
        let asked = Asked {
            service,
            environment,
            criticality: Some(tier),
            now: Timestamp::MIN,
        };
        let [a, b] = [0, 1].map(|side| {
            let policy: &Policy = &self.policies[side];
            let settings = policy.settings(service, policy.tier(service, Some(tier)), environment);
            values(policy, &settings, &asked, &self.files[side])
        });
        let both = a.into_iter().zip(b).filter(|(a, _)| a.key != TIER);
        both.map(|(a, b)| (a.key, [a.value, b.value])).collect()
    }

    fn by_tier(&self, service: &str, environment: &str) -> ByTier {
        Criticality::ALL.map(|tier| (tier, self.pairs(service, environment, tier)))
    }

    /// Of a service that no file names, by its tier; once where all tiers differ alike.
    fn tiers(&self) -> Vec<Difference> {
        let tiers = self.by_tier("", "");
        let (_, first) = &tiers[0];
        let mut found = Vec::new();
        for (place, pair) in first.iter().enumerate() {
            let is_everywhere = tiers.iter().all(|(_, pairs)| pairs.get(place) == Some(pair));
            if is_everywhere {
                found.extend(difference("", pair, ""));
                continue;
            }
            for (tier, pairs) in &tiers {
                let own = pairs.get(place).into_iter();
                found.extend(own.filter_map(|pair| difference(&format!("tiers.{}.", tier.name()), pair, "")));
            }
        }
        found
    }

    /// Of all services, where an environment has values of its own.
    fn environments(&self, found: &mut Vec<Difference>) {
        let usual = self.by_tier("", "");
        for environment in self.named_environments() {
            let here = self.by_tier("", environment.as_str());
            found.extend(apart(&format!("environments.{environment}."), &here, &[&usual]));
        }
    }

    fn named_environments(&self) -> BTreeSet<&EnvironmentId> {
        let [a, b] = &self.policies;
        a.environments.keys().chain(b.environments.keys()).collect()
    }

    /// Those of which both say the same in tables of their own differ as their tier does.
    fn services(&self, found: &mut Vec<Difference>) {
        let [a, b] = &self.policies;
        let services: BTreeSet<_> = a.services.keys().chain(b.services.keys()).collect();
        for service in services {
            let patches = [a, b].map(|policy| policy.services.get(service));
            if patches[0] == patches[1] {
                continue;
            }
            let name = service.as_str();
            let scope = format!("services.{name}.");
            let [in_a, in_b] = patches.map(|patch| patch.and_then(|patch| patch.tier));
            found.extend((in_a != in_b).then(|| Difference {
                key: format!("{scope}{TIER}"),
                a: in_a.map(|tier| tier.name().to_owned()),
                b: in_b.map(|tier| tier.name().to_owned()),
            }));
            let usual = |environment| {
                Criticality::ALL.map(|tier| (tier, self.pairs("", environment, a.tier(name, Some(tier)))))
            };
            let own = self.by_tier(name, "");
            found.extend(apart(&scope, &own, &[&usual("")]));
            let patches = patches.into_iter().flatten();
            let mut environments = self.named_environments();
            environments.extend(patches.flat_map(|patch| patch.environments.keys()));
            for environment in environments {
                let here = self.by_tier(name, environment.as_str());
                let scope = format!("{scope}environments.{environment}.");
                found.extend(apart(&scope, &here, &[&own, &usual(environment.as_str())]));
            }
        }
    }

    /// Lists of people may differ and be as long.
    fn levels(&self) -> Vec<Difference> {
        let levels = [
            ("levels.staff", Level::Staff),
            ("levels.senior", Level::Senior),
            ("levels.mid", Level::Mid),
            ("levels.junior", Level::Junior),
        ];
        let of = |side: usize, level: Level| {
            let members = self.policies[side].levels.members.iter();
            members.filter(move |(_, own)| **own == level).map(|(name, _)| name)
        };
        let others = levels.into_iter().filter_map(|(key, level)| {
            let (a, b): (Vec<_>, Vec<_>) = (of(0, level).collect(), of(1, level).collect());
            let listed = format!("{} listed", a.len());
            (a != b && a.len() == b.len()).then(|| Difference {
                key: key.to_owned(),
                a: Some(listed),
                b: Some("as many, others".to_owned()),
            })
        });
        others.collect()
    }

    fn rules(&self) -> Vec<Difference> {
        let [a, b] = &self.policies;
        let names: BTreeSet<&str> = a.rules.iter().chain(&b.rules).map(|rule| &*rule.name).collect();
        let of = |policy: &Policy, name: &str| {
            let rule = policy.rules.iter().find(|rule| *rule.name == *name);
            rule.map(ToString::to_string)
        };
        let found = names.into_iter().map(|name| Difference {
            key: format!("rule {name}"),
            a: of(a, name),
            b: of(b, name),
        });
        found.filter(|difference| difference.a != difference.b).collect()
    }

    /// A window is not put into words, which depend on the time.
    fn windows(&self) -> Vec<Difference> {
        let [a, b] = &self.policies;
        let names: BTreeSet<&str> = a.windows.iter().chain(&b.windows).map(|window| &*window.name).collect();
        let of = |policy: &Policy, name: &str| policy.windows.iter().find(|window| *window.name == *name).cloned();
        let found = names.into_iter().filter_map(|name| {
            let (a, b) = (of(a, name), of(b, name));
            let is_other = a.is_some() && b.is_some();
            let said = |window: &super::Window| window.effect.name().to_owned();
            (a != b).then(|| Difference {
                key: format!("window {name}"),
                a: a.as_ref().map(said),
                b: b.as_ref().map(|window| {
                    if is_other {
                        format!("{}, other times or services", said(window))
                    } else {
                        said(window)
                    }
                }),
            })
        });
        found.collect()
    }
}

fn difference(scope: &str, (key, [a, b]): &Pair, of_tiers: &str) -> Option<Difference> {
    (a != b).then(|| Difference {
        key: format!("{scope}{key}{of_tiers}"),
        a: Some(a.clone()),
        b: Some(b.clone()),
    })
}

/// What differs in another way than all that is usual; once where all tiers differ alike, else with the tiers that do.
fn apart(scope: &str, own: &ByTier, usual: &[&ByTier]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (place, first) in own[0].1.iter().enumerate() {
        let pairs = own.iter().enumerate();
        let pairs = pairs.filter_map(|(i, (tier, pairs))| Some((i, *tier, pairs.get(place)?)));
        let is_everywhere = pairs.clone().all(|(.., pair)| pair == first);
        let is_usual = |i: usize, pair| usual.iter().any(|usual| usual[i].1.get(place) == Some(pair));
        let mut left: Vec<(Criticality, &Pair)> = pairs
            .filter(|(i, _, pair)| !is_usual(*i, pair))
            .map(|(_, tier, pair)| (tier, pair))
            .collect();
        while let Some((_, pair)) = left.first().copied() {
            let (alike, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, own)| *own == pair);
            let tiers: Vec<&str> = alike.iter().map(|(tier, _)| tier.name()).collect();
            let of_tiers = match tiers.as_slice() {
                _ if is_everywhere => String::new(),
                [tier] => format!(" (tier {tier})"),
                tiers => format!(" (tiers {})", tiers.join(", ")),
            };
            found.extend(difference(scope, pair, &of_tiers));
            left = others;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(a: &str, b: &str) -> Vec<String> {
        let found = differences(a, b).expect("both are good");
        let text = |difference: Difference| {
            let side = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            format!("{}: {} | {}", difference.key, side(difference.a), side(difference.b))
        };
        found.into_iter().map(text).collect()
    }

    fn check(cases: &[(&str, &str, &[&str])]) {
        for (a, b, expected) in cases {
            assert_eq!(told(a, b), *expected, "{a} {b}");
        }
    }

    #[test]
    fn values_that_differ_are_named_where_they_do() {
        let cases: [(&str, &str, &[&str]); 9] = [
            ("", "", &[]),
            // A default that is written out is no difference.
            ("", "[freeze]\nmargin = 0.25\n", &[]),
            ("", "[freeze]\nmargin = 0.6\n", &["freeze.margin: 0.25 | 0.6"]),
            (
                "[tiers.critical]\nfreeze.margin = 0.1\n",
                "[tiers.critical]\nfreeze.margin = 0.2\n",
                &["tiers.critical.freeze.margin: 0.1 | 0.2"],
            ),
            (
                "mode = \"enforce\"\n[services.cart]\nmode = \"shadow\"\n",
                "[services.cart.environments.staging]\nmode = \"enforce\"\n",
                &[
                    "mode: enforce | shadow",
                    "services.cart.environments.staging.mode: shadow | enforce",
                ],
            ),
            (
                "",
                "[environments.staging]\nmode = \"enforce\"\n",
                &["environments.staging.mode: shadow | enforce"],
            ),
            (
                "",
                "[services.cart]\ntier = \"critical\"\n",
                &["services.cart.tier: - | critical"],
            ),
            // It stands before what the catalog may say.
            (
                "",
                "[services.cart]\ntier = \"medium\"\n",
                &["services.cart.tier: - | medium"],
            ),
            (
                "[levels]\nsenior = [\"a\"]\n",
                "[levels]\nsenior = [\"b\"]\n",
                &["levels.senior: 1 listed | as many, others"],
            ),
        ];
        check(&cases);
        let other = "[[window]]\nname = \"w\"\neffect = \"deny\"\nfrom = 2026-03-02T01:00:00\nlength = \"2h\"\n\
                     [[rule]]\nname = \"ai-authored-sign-off\"\nenabled = false\n";
        let found = told("", other);
        assert!(
            found[0].starts_with("rule ai-authored-sign-off: ") && found[0].ends_with(" | -"),
            "{found:?}"
        );
        assert_eq!(found[1..], ["window w: - | deny"]);
    }

    #[test]
    fn what_differs_for_some_tiers_only_is_named_with_them() {
        check(&[
            // What an environment has may be news to some tiers only.
            (
                "[tiers.critical]\nmode = \"enforce\"\n",
                "[tiers.critical]\nmode = \"enforce\"\n[environments.staging]\nmode = \"shadow\"\n",
                &["environments.staging.mode (tier critical): enforce | shadow"],
            ),
            (
                "[tiers.critical]\nmode = \"enforce\"\n",
                "[tiers.critical]\nmode = \"enforce\"\n[environments.staging]\nmode = \"enforce\"\n",
                &["environments.staging.mode (tiers low, medium, high): shadow | enforce"],
            ),
            // So may what a service has, whose tier the catalog says.
            (
                "[tiers.critical]\nmode = \"enforce\"\n",
                "[tiers.critical]\nmode = \"enforce\"\n[services.cart]\nmode = \"shadow\"\n",
                &["services.cart.mode (tier critical): enforce | shadow"],
            ),
            // Its own table says it, and the same in both.
            (
                "[tiers.critical]\nmode = \"enforce\"\n[services.cart]\ntier = \"critical\"\n",
                "[tiers.critical]\nmode = \"enforce\"\n[services.cart]\ntier = \"critical\"\nmode = \"shadow\"\n",
                &["services.cart.mode: enforce | shadow"],
            ),
            (
                "[tiers.critical]\nmode = \"enforce\"\n",
                "[tiers.critical]\nmode = \"enforce\"\n[services.cart]\ntier = \"critical\"\n",
                &[
                    "services.cart.tier: - | critical",
                    "services.cart.mode (tiers low, medium, high): shadow | enforce",
                ],
            ),
            // A service's word stands before its environment's, which it need not name.
            (
                "mode = \"enforce\"\n[environments.staging]\nmode = \"shadow\"\n",
                "mode = \"enforce\"\n[environments.staging]\nmode = \"shadow\"\n[services.cart]\nmode = \"enforce\"\n",
                &["services.cart.environments.staging.mode: shadow | enforce"],
            ),
        ]);
    }
}
