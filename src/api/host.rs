//! The name by which an instance is asked, where it listens for its own machine alone.
//!
//! A page of anybody's, open in a browser on this machine, may not read what other names answer; but its own name may
//! come to mean this machine between two requests (DNS rebinding), and then what listens here answers it. The browser
//! still says by which name it asks.
//!
//! Whether it lives and is ready anybody may know, and what is wrong with it: who checks that asks by a name of their own.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};

use super::problem::Problem;

/// Answered by whatever name.
const CHECKS: [&str; 2] = ["/healthz", "/readyz"];
/// Names under it mean this machine wherever they are resolved: browsers ask nobody for them (RFC 6761).
const LOCALHOST: &str = "localhost";

/// By which names an instance answers.
#[derive(Debug, Clone)]
pub(super) enum Hosts {
    /// Others reach it too, by names it does not know: who may ask is for the network to say.
    Any,
    /// An address, which cannot come to mean another machine; `localhost` and names under it; and what it advertises.
    Own { advertised: Option<Box<str>> },
}

impl Hosts {
    pub(super) fn of(listening: SocketAddr, advertise: &str) -> Self {
        if !listening.ip().to_canonical().is_loopback() {
            return Self::Any;
        }
        let advertised = advertise.parse::<Uri>().ok();
        let advertised = advertised.and_then(|url| Some(url.authority()?.host().to_ascii_lowercase().into()));
        Self::Own { advertised }
    }

    /// Refuses a request by another name. One without any, as HTTP/1.0 allows, is from no browser.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Self::Own { advertised } = self else {
            return Ok(());
        };
        if CHECKS.contains(&uri.path()) {
            return Ok(());
        }
        let told = headers.get_all(header::HOST).into_iter();
        let named = told.map(|host| host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()));
        let mut all = named.chain(uri.authority().cloned().map(Some));
        if all.all(|name| name.is_some_and(|name| is_own(name.host(), advertised.as_deref()))) {
            return Ok(());
        }
        let detail = "`Host` is none of this instance's: an IP address, `localhost`, or the host of `advertise`";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

fn is_own(host: &str, advertised: Option<&str>) -> bool {
    let host = host.to_ascii_lowercase();
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = in_brackets.unwrap_or(&host).parse::<IpAddr>().is_ok();
    is_address || is_under_localhost(&host) || Some(&*host) == advertised
}

/// A dot at the end says that the name is whole.
fn is_under_localhost(host: &str) -> bool {
    let under = host.strip_suffix('.').unwrap_or(host).strip_suffix(LOCALHOST);
    under.is_some_and(|under| under.is_empty() || under.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(listening: &str, advertise: &str, target: &str, hosts: &[&str]) -> bool {
        let names = Hosts::of(listening.parse().expect("an address"), advertise);
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().expect("a value"));
        }
        names.check(&target.parse().expect("a target"), &headers).is_ok()
    }

    #[test]
    fn a_loopback_listener_answers_by_its_own_names_alone() {
        let cases: [(&str, &[&str], bool); 22] = [
            ("/", &["127.0.0.1:8484"], true),
            ("/", &["[::1]:8484"], true),
            ("/", &["192.0.2.7"], true),
            ("/", &["LocalHost:8484"], true),
            ("/", &["localhost.:8484"], true),
            ("/", &["holdpoint.localhost:8484"], true),
            ("/", &["evillocalhost"], false),
            ("/", &["localhost.."], false),
            ("/", &["holdpoint.example"], true),
            ("/", &["Holdpoint.Example:443"], true),
            ("/", &[], true),
            ("/", &["evil.example:8484"], false),
            ("/", &["localhost.evil.example"], false),
            ("/", &["127.0.0.1.evil.example"], false),
            ("/", &["localhost", "evil.example"], false),
            ("/", &["evil example"], false),
            ("/", &[""], false),
            ("http://evil.example/", &["localhost"], false),
            ("http://localhost/", &["localhost"], true),
            ("/healthz", &["evil.example"], true),
            ("/readyz", &["evil.example"], true),
            ("/readyz/", &["evil.example"], false),
        ];
        for (target, hosts, expected) in cases {
            for listening in ["127.0.0.1:8484", "[::1]:8484"] {
                let answered = is_answered(listening, "https://Holdpoint.example/a", target, hosts);
                assert_eq!(answered, expected, "{target} {hosts:?} at {listening}");
            }
            assert!(is_answered("0.0.0.0:8484", "http://a", target, hosts), "{hosts:?}");
        }
    }
}
