//! The native form: which fields each kind of event has, and how they are read in one pass.

use serde::{
    Deserialize,
    de::{DeserializeSeed as _, MapAccess},
};

use super::{
    check_depth,
    field::{Field, List, Members, Number, Object, Shape, Text, UnreadObject, UnreadScalar, UnreadText, members},
    json::Reader,
};
use crate::{
    ingest::{
        Reject,
        reject::Excerpt,
        word::{UnknownWord, word},
    },
    model::Kind,
};

/// The most shas of a deploy: a week of a busy monorepo.
pub(in crate::ingest) const MAX_COMMITS: usize = 1000;
/// The most commits of a pull request: forges stop at 250.
pub(in crate::ingest) const MAX_HEADS: usize = 256;
/// The most groups of a person.
pub(in crate::ingest) const MAX_GROUPS: usize = 64;
/// The most approvals of a change.
pub(in crate::ingest) const MAX_APPROVALS: usize = 64;
/// The most callees of a service.
pub(in crate::ingest) const MAX_DEPENDENCIES: usize = 256;
/// The paths kept of a change; they are examples, so more are no fault.
pub(in crate::ingest) const MAX_PATHS: usize = 64;

/// A record as it was given: what all kinds have, and one kind's own.
#[derive(Debug)]
pub(in crate::ingest) struct Record<'a, B> {
    pub(in crate::ingest) kind: Field<Text<'a>>,
    pub(in crate::ingest) id: Field<Text<'a>>,
    pub(in crate::ingest) time: Field<Text<'a>>,
    pub(in crate::ingest) service: Field<Text<'a>>,
    pub(in crate::ingest) environment: Field<Text<'a>>,
    pub(in crate::ingest) source: Field<Text<'a>>,
    pub(in crate::ingest) body: B,
}

impl<B> Record<'_, B> {
    fn of(body: B) -> Self {
        Self {
            kind: Field::Absent,
            id: Field::Absent,
            time: Field::Absent,
            service: Field::Absent,
            environment: Field::Absent,
            source: Field::Absent,
            body,
        }
    }
}

/// A record of a kind that is known only now.
pub(in crate::ingest) type Raw<'a> = Record<'a, RawBody<'a>>;

#[derive(Debug)]
pub(in crate::ingest) enum RawBody<'a> {
    Commit(Box<RawCommit<'a>>),
    Deploy(RawDeploy<'a>),
    Error(RawError<'a>),
    Incident(RawIncident<'a>),
    Review(RawReview<'a>),
    Service(RawService<'a>),
    Override(RawOverride<'a>),
}

/// Declares an object of the native form: its members and their types.
macro_rules! object {
    ($name:ident $(<$lifetime:lifetime>)? { $($member:ident: $shape:ty,)* }) => {
        #[derive(Debug, Default)]
        pub(in crate::ingest) struct $name $(<$lifetime>)? {
            $(pub(in crate::ingest) $member: Field<$shape>,)*
        }

        impl<'a> Object<'a> for $name $(<$lifetime>)? {
            fn fill<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
                match key {
                    $(stringify!($member) => self.$member.fill(stringify!($member), map)?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl<'a> Shape<'a> for $name $(<$lifetime>)? {
            const EXPECTED: &'static str = "an object";

            fn object<A: MapAccess<'a>>(given: A) -> Result<Option<Self>, A::Error> {
                members(given).map(Some)
            }
        }
    };
}

object!(RawCommit<'a> {
    sha: Text<'a>,
    repository: Text<'a>,
    author: RawAuthor<'a>,
    ai: RawAi<'a>,
    change: RawChange<'a>,
    history: RawHistory,
    message: UnreadText,
    approvals: List<RawApproval<'a>, MAX_APPROVALS>,
    change_id: Text<'a>,
    head_shas: List<Text<'a>, MAX_HEADS>,
    labels: UnreadObject,
});

object!(RawAuthor<'a> {
    id: Text<'a>,
    level: Text<'a>,
    groups: List<Text<'a>, MAX_GROUPS>,
    bot: bool,
});

object!(RawAi<'a> {
    assistance: Text<'a>,
    tools: List<UnreadText, MAX_GROUPS>,
    confidence: Text<'a>,
});

object!(RawChange<'a> {
    lines_added: Number,
    lines_deleted: Number,
    files: Number,
    directories: Number,
    subsystems: Number,
    entropy: Number,
    lines_before: Number,
    fix: bool,
    tests_touched: bool,
    config_touched: bool,
    paths: List<Text<'a>, MAX_PATHS>,
});

object!(RawHistory {
    developers: Number,
    age_days: Number,
    prior_changes: Number,
    author_changes: Number,
    author_recent_changes: Number,
    author_subsystem_changes: Number,
});

object!(RawApproval<'a> {
    by: Text<'a>,
    level: Text<'a>,
    groups: List<Text<'a>, MAX_GROUPS>,
    bot: bool,
});

object!(RawDeploy<'a> {
    deploy_id: Text<'a>,
    status: Text<'a>,
    version: Text<'a>,
    previous_version: Text<'a>,
    commits: List<Text<'a>, MAX_COMMITS>,
    exposure: Number,
    change_kind: Text<'a>,
    initiator: UnreadText,
});

object!(RawError<'a> {
    count: Number,
    requests: Number,
    interval_ms: Number,
    version: Text<'a>,
    fingerprint: Text<'a>,
    class: UnreadText,
    severity: UnreadScalar,
    affected: Number,
    upstream: Text<'a>,
});

object!(RawIncident<'a> {
    incident_id: Text<'a>,
    status: Text<'a>,
    severity: Number,
    caused_by: RawCausedBy<'a>,
});

object!(RawCausedBy<'a> {
    deploy_id: Text<'a>,
    sha: Text<'a>,
});

object!(RawReview<'a> {
    sha: Text<'a>,
    change_id: Text<'a>,
    verdict: Text<'a>,
    by: Text<'a>,
    level: Text<'a>,
    groups: List<Text<'a>, MAX_GROUPS>,
    bot: bool,
});

object!(RawService<'a> {
    criticality: Text<'a>,
    owner: UnreadText,
    depends_on: List<Text<'a>, MAX_DEPENDENCIES>,
    traffic_share: Number,
    slo: RawSlo,
});

object!(RawSlo {
    objective: Number,
    window_days: Number,
});

object!(RawOverride<'a> {
    effect: Text<'a>,
    until: Text<'a>,
    reason: Text<'a>,
    by: Text<'a>,
});

impl<'a, B: Object<'a>> Object<'a> for Record<'a, B> {
    fn fill<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "kind" => self.kind.fill("kind", map)?,
            "id" => self.id.fill("id", map)?,
            "time" => self.time.fill("time", map)?,
            "service" => self.service.fill("service", map)?,
            "environment" => self.environment.fill("environment", map)?,
            "source" => self.source.fill("source", map)?,
            _ => return self.body.fill(key, map),
        }
        Ok(true)
    }
}

impl RawBody<'_> {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Commit => Self::Commit(Box::default()),
            Kind::Deploy => Self::Deploy(RawDeploy::default()),
            Kind::Error => Self::Error(RawError::default()),
            Kind::Incident => Self::Incident(RawIncident::default()),
            Kind::Review => Self::Review(RawReview::default()),
            Kind::Service => Self::Service(RawService::default()),
            Kind::Override => Self::Override(RawOverride::default()),
        }
    }
}

impl<'a> Object<'a> for RawBody<'a> {
    fn fill<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match self {
            Self::Commit(body) => body.fill(key, map),
            Self::Deploy(body) => body.fill(key, map),
            Self::Error(body) => body.fill(key, map),
            Self::Incident(body) => body.fill(key, map),
            Self::Review(body) => body.fill(key, map),
            Self::Service(body) => body.fill(key, map),
            Self::Override(body) => body.fill(key, map),
        }
    }
}

/// The body of a record of which only the kind is asked.
struct Unread;

impl<'a> Object<'a> for Unread {
    fn fill<A: MapAccess<'a>>(&mut self, _key: &str, _map: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }
}

/// Reads a record in native form; `default` is the kind of one that does not say its own.
///
/// Which keys are known depends on the kind, and `kind` may come last. So the kind is guessed, and the record read
/// again, first for its kind alone, where the guess fails: nearly every producer writes `kind` first, or none.
pub(super) fn read(text: &str, default: Option<Kind>) -> Result<Raw<'_>, Reject> {
    if let Some(guess) = leading_kind(text).or(default)
        && let Ok(raw) = read_as(guess, text)
        && kind_of(&raw.kind, default) == Ok(guess)
    {
        return Ok(raw);
    }
    let peeked = read_record(text, || Unread)?;
    read_as(kind_of(&peeked.kind, default)?, text)
}

/// The kind, if that is what the record begins with.
fn leading_kind(text: &str) -> Option<Kind> {
    let mut rest = text;
    for token in ["{", "\"kind\"", ":", "\""] {
        rest = rest.trim_ascii_start().strip_prefix(token)?;
    }
    let (name, _) = rest.split_once('"')?;
    word(name).ok()
}

fn kind_of(kind: &Field<Text<'_>>, default: Option<Kind>) -> Result<Kind, Reject> {
    match kind {
        Field::Absent | Field::Null => default.ok_or(Reject::NoKind),
        Field::Value(name) => word(name).map_err(|UnknownWord { expected }| Reject::UnknownKind {
            expected,
            found: Excerpt::of(name),
        }),
        Field::Wrong(found) => Err(Reject::WrongType {
            field: "kind",
            expected: Text::EXPECTED,
            found,
        }),
    }
}

fn read_as(kind: Kind, text: &str) -> Result<Raw<'_>, Reject> {
    read_record(text, || RawBody::new(kind))
}

/// The record as the usual reader has it, else as `serde_json` has it, whose faults are the ones told.
///
/// It is filled where it is: it is large, and would be moved at every step of the parser's way back.
fn read_record<'a, B: Object<'a>>(text: &'a str, body: impl Fn() -> B) -> Result<Record<'a, B>, Reject> {
    let mut record = Record::of(body());
    let mut reader = Reader::new(text);
    if (Members(&mut record).deserialize(&mut reader)).is_ok() && reader.end().is_ok() {
        return Ok(record);
    }
    read_exactly(text, body())
}

fn read_exactly<'a, B: Object<'a>>(text: &'a str, body: B) -> Result<Record<'a, B>, Reject> {
    check_depth(text)?;
    let mut record = Record::of(body);
    let mut json = serde_json::Deserializer::from_str(text);
    if !text.trim_ascii_start().starts_with('{') {
        let found = match Field::<UnreadObject>::deserialize(&mut json).map_err(|error| fault(&error))? {
            Field::Wrong(found) => found,
            Field::Null | Field::Absent | Field::Value(UnreadObject) => "null",
        };
        json.end().map_err(|_what_follows| Reject::TrailingData)?;
        return Err(Reject::NotAnObject { found });
    }
    Members(&mut record)
        .deserialize(&mut json)
        .map_err(|error| fault(&error))?;
    json.end().map_err(|_what_follows| Reject::TrailingData)?;
    Ok(record)
}

/// What the parser stumbled over.
fn fault(error: &serde_json::Error) -> Reject {
    let problem = error.to_string();
    // A double key is the one fault that reading a field raises; all others are the parser's own.
    if error.is_data() {
        let key = problem.split('`').nth(1).unwrap_or(&problem);
        return Reject::DuplicateKey { key: Excerpt::of(key) };
    }
    // The parser has a code for this, but tells it in words only.
    if problem.starts_with("number out of range") {
        return Reject::HugeNumber {
            line: error.line(),
            column: error.column(),
        };
    }
    Reject::NotJson {
        problem: problem.into(),
    }
}
