//! Which values of two policies differ: what a comparison of them is about.
//!
//! The values are those of [`explain`](super::explain()), tier by tier, then of each environment and service that either
//! file names, where these differ in another way than their tier does.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Asked, Faults, Policy,
    explain::{File, values},
};
use crate::model::{Criticality, Level, Timestamp};

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

impl Sides<'_> {
    /// What both say of a service.
    fn pairs(&self, service: &str, environment: &str, tier: Option<Criticality>) -> Vec<Pair> {
        let asked = Asked {
            service,
            environment,
            criticality: tier,
            now: Timestamp::MIN,
        };
        let [a, b] = [0, 1].map(|side| {
            let policy: &Policy = &self.policies[side];
            let settings = policy.settings(service, policy.tier(service, tier), environment);
            values(policy, &settings, &asked, &self.files[side])
        });
        let both = a.into_iter().zip(b);
        both.map(|(a, b)| (a.key, [a.value, b.value])).collect()
    }

    /// Of a service that no file names, by its tier; once where all tiers differ alike.
    fn tiers(&self) -> Vec<Difference> {
        let tiers = Criticality::ALL.map(|tier| (tier, self.pairs("", "", Some(tier))));
        let (_, first) = &tiers[0];
        let mut found = Vec::new();
        for (place, pair) in first.iter().enumerate() {
            // Each tier's own name is the same in both.
            let is_everywhere = tiers.iter().all(|(_, pairs)| pairs.get(place) == Some(pair));
            if is_everywhere {
                found.extend(difference(String::new(), pair));
                continue;
            }
            for (tier, pairs) in &tiers {
                let own = pairs.get(place).into_iter();
                found.extend(own.filter_map(|pair| difference(format!("tiers.{}.", tier.name()), pair)));
            }
        }
        found
    }

    /// Of all services, where an environment has values of its own.
    fn environments(&self, found: &mut Vec<Difference>) {
        let [a, b] = &self.policies;
        let environments: BTreeSet<_> = a.environments.keys().chain(b.environments.keys()).collect();
        let usual = self.pairs("", "", None);
        for environment in environments {
            let here = self.pairs("", environment.as_str(), None);
            found.extend(apart(&format!("environments.{environment}."), &here, &usual));
        }
    }

    fn services(&self, found: &mut Vec<Difference>) {
        let [a, b] = &self.policies;
        let services: BTreeSet<_> = a.services.keys().chain(b.services.keys()).collect();
        for service in services {
            let name = service.as_str();
            let own = self.pairs(name, "", None);
            let usual = self.pairs("", "", Some(a.tier(name, None)));
            let scope = format!("services.{name}.");
            found.extend(apart(&scope, &own, &usual));
            let patches = [a, b].map(|policy| policy.services.get(service));
            let environments = patches
                .into_iter()
                .flatten()
                .flat_map(|patch| patch.environments.keys());
            for environment in environments.collect::<BTreeSet<_>>() {
                let here = self.pairs(name, environment.as_str(), None);
                let scope = format!("{scope}environments.{environment}.");
                found.extend(apart(&scope, &here, &own));
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

fn difference(scope: String, (key, [a, b]): &Pair) -> Option<Difference> {
    (a != b).then(|| Difference {
        key: scope + key,
        a: Some(a.clone()),
        b: Some(b.clone()),
    })
}

/// What differs in another way than usual.
fn apart<'a>(scope: &'a str, own: &'a [Pair], usual: &'a [Pair]) -> impl Iterator<Item = Difference> + use<'a> {
    let both = own.iter().zip(usual);
    both.filter(|(own, usual)| own != usual)
        .filter_map(|(own, _)| difference(scope.to_owned(), own))
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

    #[test]
    fn values_that_differ_are_named_where_they_do() {
        let cases: [(&str, &str, &[&str]); 8] = [
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
                &["services.cart.tier: medium | critical"],
            ),
            (
                "[levels]\nsenior = [\"a\"]\n",
                "[levels]\nsenior = [\"b\"]\n",
                &["levels.senior: 1 listed | as many, others"],
            ),
        ];
        for (a, b, expected) in cases {
            assert_eq!(told(a, b), expected, "{a} {b}");
        }
        let other = "[[window]]\nname = \"w\"\neffect = \"deny\"\nfrom = 2026-03-02T01:00:00\nlength = \"2h\"\n\
                     [[rule]]\nname = \"ai-authored-sign-off\"\nenabled = false\n";
        let found = told("", other);
        assert!(
            found[0].starts_with("rule ai-authored-sign-off: ") && found[0].ends_with(" | -"),
            "{found:?}"
        );
        assert_eq!(found[1..], ["window w: - | deny"]);
    }
}
