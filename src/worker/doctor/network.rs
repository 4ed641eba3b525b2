//! The way to the server, a step at a time, and whether it knows this worker.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use tokio::net::{TcpStream, lookup_host};

use super::{Check, said};
use crate::{
    client::{Answer, Way, WorkerClient, ask, way},
    config::Environment,
    protocol::{ErrorCode, Machine},
    worker::Identity,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// From where on times of logs mislead.
const APART: i64 = 30;
/// What says which proxy to take, in both spellings.
const PROXIES: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

pub(super) async fn examine(identity: &Identity, machine: &Machine, environment: &Environment) -> Vec<Check> {
    let way = match way(&identity.server) {
        Ok(way) => way,
        Err(error) => return vec![Check::failed("server", said(&error)).hint(error.hint())],
    };
    let mut checks = vec![proxy(&way, environment)];
    let (host, port) = match &way.proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (way.host.as_str(), way.port),
    };
    let addresses = match resolve(host, port).await {
        Ok((addresses, check)) => {
            checks.push(check);
            addresses
        }
        Err(check) => {
            checks.push(check);
            return unproven(checks, &["TCP", "TLS", "server clock", "credential"], "DNS");
        }
    };
    let reached = reach(&addresses, host, port).await;
    let is_reached = reached.verdict == super::Verdict::Ok;
    checks.push(reached);
    if !is_reached {
        return unproven(checks, &["TLS", "server clock", "credential"], "TCP");
    }
    let answer = ask(&identity.server, &identity.trust).await;
    checks.push(secured(&way, identity, answer.as_ref().err()));
    match answer {
        Ok(answer) => {
            checks.push(clock("server clock", "the server's", answer.time, APART, None));
            checks.push(credential(identity, machine, answer).await);
            checks
        }
        Err(_) => unproven(checks, &["server clock", "credential"], "TLS"),
    }
}

fn unproven(mut checks: Vec<Check>, names: &[&str], before: &str) -> Vec<Check> {
    checks.extend(names.iter().map(|name| Check::unproven(*name, format!("not looked at: {before} failed"))));
    checks
}

fn proxy(way: &Way, environment: &Environment) -> Check {
    let set: Vec<&str> = PROXIES
        .into_iter()
        .filter(|name| environment.get(name).is_some_and(|value| !value.is_empty()))
        .collect();
    let by = set.join(", ");
    match &way.proxy {
        Some(proxy) => Check::ok("proxy", format!("{} ({by})", proxy.address)),
        None if set.is_empty() => Check::ok("proxy", "none is set"),
        None => Check::ok("proxy", format!("none for {}, though there are: {by}", way.host)),
    }
}

async fn resolve(host: &str, port: u16) -> Result<(Vec<SocketAddr>, Check), Check> {
    let looked_up = tokio::time::timeout(PATIENCE, lookup_host((host, port))).await;
    let hint = format!(
        "check the name `{host}`, and the name servers of this machine (/etc/resolv.conf, /etc/hosts)"
    );
    let error = match looked_up {
        Ok(Ok(found)) => {
            let addresses: Vec<SocketAddr> = found.collect();
            if let Some(first) = addresses.first() {
                let more = match addresses.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let check = Check::ok("DNS", format!("{host} is {}{more}", first.ip()));
                return Ok((addresses, check));
            }
            "it has no address".to_owned()
        }
        Ok(Err(error)) => said(&error),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    Err(Check::failed("DNS", format!("{host}: {error}")).hint(hint))
}

/// Any of them will do: the clients try all as well.
async fn reach(addresses: &[SocketAddr], host: &str, port: u16) -> Check {
    let mut why = String::new();
    for address in addresses {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Check::ok("TCP", format!("{address} takes connections")),
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no answer within {} s", PATIENCE.as_secs()),
        }
    }
    let hint = format!("check that {host} listens on port {port}, and the firewalls in between");
    Check::failed("TCP", why).hint(hint)
}

fn secured(way: &Way, identity: &Identity, error: Option<&crate::client::ClientError>) -> Check {
    if let Some(error) = error {
        let name = if way.has_tls && error.is_without_connection() { "TLS" } else { "HTTP" };
        return Check::failed(name, said(error)).hint(error.hint());
    }
    let trust = &identity.trust;
    if !way.has_tls {
        let is_here =
            way.host == "localhost" || way.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        return if is_here {
            Check::ok("TLS", "plain HTTP, on this machine")
        } else {
            let hint =
                "serve with TLS: `octarm server run --tls self-made` prints a fingerprint to register with";
            Check::warning("TLS", "plain HTTP: whoever is on the way reads everything").hint(hint.to_owned())
        };
    }
    Check::ok(
        "TLS",
        match (&trust.fingerprint, &trust.ca_file) {
            (Some(fingerprint), _) => {
                format!("the certificate has the fingerprint {fingerprint}, as registered")
            }
            (None, Some(file)) => {
                format!("the certificate is vouched for by `{}` or the system", file.display())
            }
            (None, None) => "the certificate is vouched for by the system's authorities".to_owned(),
        },
    )
}

/// Whether two clocks agree, up to so many seconds; from `fatal` on nothing works.
pub(super) fn clock(
    name: &str,
    whose: &str,
    time: Option<Timestamp>,
    apart: i64,
    fatal: Option<i64>,
) -> Check {
    let Some(time) = time else { return Check::unproven(name, "the answer told no time") };
    let seconds = Timestamp::now().duration_since(time).as_secs();
    let way = if seconds < 0 { "behind" } else { "ahead of" };
    let found = match seconds.abs() {
        // Times in answers are whole seconds, and are underway for a while.
        0..=2 => format!("this clock and {whose} agree"),
        seconds => format!("this clock is {seconds} s {way} {whose}"),
    };
    let hint = "set this machine's clock: `timedatectl status` shows whether it is kept in time".to_owned();
    if fatal.is_some_and(|fatal| seconds.abs() >= fatal) {
        Check::failed(name, found).hint(hint)
    } else if seconds.abs() >= apart {
        Check::warning(name, found).hint(hint)
    } else {
        Check::ok(name, found)
    }
}

async fn credential(identity: &Identity, machine: &Machine, answer: Answer) -> Check {
    if matches!(answer.status, 502..=504) {
        let found = format!("something before the server answers {}: the server is away", answer.status);
        return Check::unproven("credential", found);
    }
    let Identity { server, trust, .. } = identity;
    match WorkerClient::check(server, trust, &identity.credential(), machine).await {
        Ok(known) if known.worker_id != identity.worker_id || known.environment != identity.environment => {
            let found = format!(
                "the server knows it as {} ({}) of {}, it is registered as {} ({}) of {}",
                known.name,
                known.worker_id,
                known.environment,
                identity.name,
                identity.worker_id,
                identity.environment
            );
            Check::warning("credential", found).hint("register it again".to_owned())
        }
        Ok(known) if known.is_disabled => {
            let found = format!(
                "{} of {} is disabled on the server: it is handed nothing",
                known.name, known.environment
            );
            Check::warning("credential", found).hint("enable it on the server".to_owned())
        }
        Ok(known) => {
            Check::ok("credential", format!("the server knows it as {} of {}", known.name, known.environment))
        }
        Err(error) if matches!(error.status(), Some(404 | 405)) => {
            Check::unproven("credential", "the server is an older one, which cannot be asked")
        }
        Err(error) if error.code() == Some(ErrorCode::Unauthorised) => {
            let hint = "register the worker again: `octarm worker register`".to_owned();
            Check::failed("credential", said(&error)).hint(hint)
        }
        Err(error) => Check::failed("credential", said(&error)).hint(error.hint()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::doctor::Verdict;

    #[test]
    fn clocks_are_compared_by_how_much_they_matter() {
        let at = |seconds: i64| {
            let time = Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
            clock("c", "AWS's", Some(time), 60, Some(300))
        };
        assert_eq!(at(1).verdict, Verdict::Ok);
        assert_eq!(at(100).verdict, Verdict::Warning);
        assert!(at(100).found.contains("ahead of AWS's"), "{:?}", at(100));
        assert_eq!(at(-400).verdict, Verdict::Failed);
        assert!(at(-400).found.contains("behind AWS's"));
        assert_eq!(clock("c", "x", None, 60, None).verdict, Verdict::Unproven);
    }
}
