//! What the fleet as a whole knows, as the page tells it: whether changes with AI fail more often.
//!
//! A ratio is never told without its interval and the number of failures it rests on. Only the instance that holds the
//! fleet's partition knows, and others point there.

use std::fmt::{self, Write as _};

use super::{State, page::Text};
use crate::{
    score::{AI_FAILURES_MIN, AiOutlook, Comparison},
    wire::partition::partition_of,
};

pub(super) fn write(html: &mut String, state: &State) -> fmt::Result {
    let outlook = state.ai.borrow().clone();
    match outlook {
        Some(outlook) => write_outlook(html, &outlook),
        None => write_owner(html, state),
    }
}

fn write_outlook(html: &mut String, outlook: &AiOutlook) -> fmt::Result {
    let AiOutlook { evidence, at_risk } = outlook;
    html.write_str("<section aria-labelledby=\"ai\"><h2 id=\"ai\">Changes with AI</h2>\n<p>")?;
    let n = evidence.n_compared;
    match &evidence.comparison {
        Some(Comparison {
            ratio,
            ratio_low,
            ratio_high,
            ..
        }) => write!(
            html,
            "Service and risk being alike, they fail {ratio:.2} times as often as others: between {ratio_low:.2} and \
             {ratio_high:.2} times with 95 % at all times, by {n} comparable failures. 1 is no difference."
        )?,
        None => write!(
            html,
            "Whether they fail more often than others of the same service and risk: not enough data, {n} comparable failures \
             of the {AI_FAILURES_MIN} that are needed."
        )?,
    }
    writeln!(
        html,
        " <small>Deployed within 7 days: {} with AI, {} without, {} do not say.</small></p></section>",
        at_risk.ai, at_risk.human, at_risk.unknown
    )
}

fn write_owner(html: &mut String, state: &State) -> fmt::Result {
    let partition = state.n_partitions().map(|n| partition_of("fleet", n));
    let heartbeat = partition.and_then(|partition| state.view.heartbeat(partition));
    let Some(owner) = heartbeat.filter(|heartbeat| heartbeat.record.instance != state.instance) else {
        return Ok(());
    };
    let owner = &owner.record;
    let name = Text(&owner.instance);
    html.write_str("<p>Whether changes with AI fail more often is told by ")?;
    if owner.url.starts_with("http://") || owner.url.starts_with("https://") {
        write!(html, "<a href=\"{}\">{name}</a>", Text(&owner.url))?;
    } else {
        write!(html, "{name}")?;
    }
    html.write_str(", which holds the fleet's partition.</p>\n")
}
