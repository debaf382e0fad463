//! The gate's question to an instance: one request, or several where the changes are many.

use std::time::Duration;

use anyhow::Context as _;

use super::{Gate, Refused, Reply};
use crate::{
    clock::{Clock, Stopwatch},
    gate::{Request, for_terminals, unreachable},
    wire::control,
};

/// What services and proxies answer to a question that is wrong or too long, or put to a path where none is answered, or
/// by a name that the instance does not answer by.
const REFUSALS: [u16; 5] = [400, 403, NOT_FOUND, 414, 431];
const NOT_FOUND: u16 = 404;

/// All parts of the question within the one bound, over the same connection where the other side keeps it. Of a part that
/// fails nothing is known; the others are asked all the same, for each tells what holds for the service. And it is asked
/// without changes, for a freeze that let a part by for its changes of low loss does not where some are not known.
pub(super) fn ask(url: &str, gate: &Gate) -> anyhow::Result<Reply> {
    let Gate { request, timeout, .. } = gate;
    let watch = Stopwatch::start();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let shown = without_userinfo(url);
    let ask_about = |changes: &[Box<str>]| {
        let call = agent
            .get(format!("{}/v1/verdict", url.trim_end_matches('/')))
            .query_pairs(request.parameters())
            .query_pairs(changes.iter().map(|sha| ("change", sha)));
        ask_part(call, timeout.saturating_sub(watch.elapsed()), &shown)
    };
    let parts = request.parts();
    if let [only] = parts[..] {
        return merged(vec![ask_about(only)?], &shown);
    }
    let (mut bodies, mut any_failed) = (Vec::new(), false);
    for changes in parts {
        bodies.push(match ask_about(changes) {
            Ok(body) => body,
            Err(error) if error.is::<Refused>() => return Err(error),
            Err(error) => {
                any_failed = true;
                let part = Request {
                    changes: changes.to_vec(),
                    ..request.clone()
                };
                let unknown = unreachable(&part, &format!("{error:#}"), Clock::wall().now());
                control::encode_verdict(&unknown)
            }
        });
    }
    if any_failed {
        bodies.extend(ask_about(&[]).ok());
    }
    merged(bodies, &shown)
}

/// The answers to all parts as one.
fn merged(bodies: Vec<Vec<u8>>, shown: &str) -> anyhow::Result<Reply> {
    let (answer, json) = control::merge_verdicts(bodies).with_context(|| format!("the answer of {shown}"))?;
    Ok(Reply { answer, json })
}

/// What the instance `shown` answers to one part within the time that is left.
fn ask_part(
    call: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    left: Duration,
    shown: &str,
) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(!left.is_zero(), "no whole answer from {shown} in time");
    let call = call.config().timeout_global(Some(left)).build();
    let mut response = call.call().with_context(|| format!("asking {shown}"))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec();
    if REFUSALS.contains(&status.as_u16()) {
        let why = body.ok().and_then(|body| detail(&body));
        // A wrong address and an instance that is gone look the same, and a typing error must lift no freeze.
        let hint =
            (status.as_u16() == NOT_FOUND).then(|| "the address must be one that `/v1/verdict` follows".to_owned());
        let why = why.into_iter().chain(hint).collect::<Vec<_>>().join("; ");
        return Err(Refused(for_terminals(&format!("{shown} refuses the question: {status}: {why}"))).into());
    }
    let body = body.with_context(|| format!("reading the answer of {shown}"))?;
    anyhow::ensure!(status.is_success(), "{shown} answers {status}");
    control::decode_verdict(&body).with_context(|| format!("the answer of {shown}"))?;
    Ok(body)
}

/// The address for people and logs: without a name and password, even where it is mistyped.
fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (Some(_) | None, _) => url.to_owned(),
    }
}

/// What a problem's JSON says for people.
fn detail(problem: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(problem).ok()?;
    Some(problem.get("detail")?.as_str()?.to_owned())
}
