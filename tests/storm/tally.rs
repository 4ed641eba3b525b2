//! How it all ended.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{fleet::Logbook, weather::Struck};
use crate::support::aws::FakeAws;

/// One deployment's end.
pub(super) struct End {
    pub(super) deployment: String,
    pub(super) environment: &'static str,
    pub(super) kind: Kind,
    pub(super) reason: String,
    /// Its log as the server has it: a JSON object a line.
    pub(super) log: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Success,
    Failed,
    Cancelled,
    Unknown,
}

pub(super) struct Tally {
    ends: BTreeMap<Kind, usize>,
    reasons: BTreeMap<String, usize>,
    struck: Struck,
    hand_outs: usize,
    log_bytes: usize,
    /// AWS calls, and of those the changing ones that took effect.
    calls: (usize, usize),
    /// What is wrong with logs.
    wrong: Vec<String>,
}

impl Tally {
    pub(super) fn of(ends: &[End], struck: &Struck, logs: &[Logbook], aws: &FakeAws) -> Self {
        let calls = aws.calls();
        let mut tally = Self {
            ends: BTreeMap::new(),
            reasons: BTreeMap::new(),
            struck: struck.clone(),
            hand_outs: 0,
            log_bytes: ends.iter().map(|end| end.log.len()).sum(),
            calls: (calls.len(), calls.iter().filter(|call| call.applied).count()),
            wrong: Vec::new(),
        };
        for end in ends {
            *tally.ends.entry(end.kind).or_default() += 1;
            if !matches!(end.kind, Kind::Success) {
                // Of all functions together.
                let words: String = end.reason.split('`').step_by(2).collect();
                let reason: String = words.chars().filter(|letter| !letter.is_numeric()).take(90).collect();
                *tally.reasons.entry(format!("{:?}: {reason}", end.kind)).or_default() += 1;
            }
            tally.read(end);
        }
        for environment in ["CI", "Staging"] {
            let log = logs.iter().find(|log| log.environment == environment).unwrap();
            tally.compare(environment, ends, log);
        }
        tally
    }

    /// A log is whole lines; its hand-outs come one after the other.
    fn read(&mut self, end: &End) {
        let mut fence = 0;
        for line in end.log.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                self.wrong.push(format!("{}: no line of a log: {line}", end.deployment));
                continue;
            };
            let text = line["text"].as_str().unwrap_or_default();
            if let Some((_, rest)) = text.split_once(&format!("took {} (fence ", end.deployment)) {
                let now = rest.trim_end_matches(')').parse().unwrap();
                if now <= fence {
                    self.wrong.push(format!("{}: fence {now} after {fence}", end.deployment));
                }
                fence = now;
                self.hand_outs += 1;
            }
        }
        if !end.log.is_empty() && !end.log.ends_with('\n') {
            self.wrong.push(format!("{}: the log ends in half a line", end.deployment));
        }
    }

    /// Where all of a deployment was done by one machine, the server's log is that machine's own, line by line. A
    /// worker that is killed between its two writes may have told the server a line more than it kept.
    fn compare(&mut self, environment: &str, ends: &[End], log: &Logbook) {
        let mut own: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (deployment, line) in &log.lines {
            own.entry(deployment).or_default().push(line);
        }
        let mut more = 0;
        for end in ends.iter().filter(|end| end.environment == environment) {
            let told: Vec<Value> =
                end.log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let mut kept = own.remove(end.deployment.as_str()).unwrap_or_default().into_iter().peekable();
            for line in &told {
                if kept.peek() == Some(&line) {
                    kept.next();
                } else {
                    more += 1;
                }
            }
            let lost: Vec<_> = kept.collect();
            if !lost.is_empty() {
                self.wrong.push(format!("{}: the server lacks {lost:#?} of {told:#?}", end.deployment));
            }
        }
        if more > log.kills {
            self.wrong.push(format!("{environment}: {more} lines only at the server, {} kills", log.kills));
        }
    }

    pub(super) fn check(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.ends.contains_key(&Kind::Success), "none ended well");
        assert!(
            self.hand_outs > self.ends.values().sum(),
            "the weather was too fair: nothing was handed out again"
        );
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "deployments: {}", self.ends.values().sum::<usize>())?;
        for (kind, count) in &self.ends {
            writeln!(f, "{count:7} {kind:?}")?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "{count:14} {reason}")?;
        }
        writeln!(f, "weather: {}", self.struck.values().sum::<usize>())?;
        for (what, count) in &self.struck {
            writeln!(f, "{count:7} {what}")?;
        }
        writeln!(f, "hand-outs: {}", self.hand_outs)?;
        writeln!(f, "calls of AWS: {}, of those {} changed something", self.calls.0, self.calls.1)?;
        write!(f, "bytes of log: {}, wrong in it: {}", self.log_bytes, self.wrong.len())
    }
}
