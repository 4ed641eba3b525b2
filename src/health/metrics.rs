//! Numbers in Prometheus's text format, version 0.0.4.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// A page of numbers, written as they come: each name once, with all of its samples.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// What the page is sent as.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// A page that begins with what every daemon tells: its version, and since when it runs.
    pub fn begin(started: SystemTime) -> Self {
        let mut page = Self::default();
        page.family("octarm_build_info", "gauge", "Which octarm this is.");
        page.sample("octarm_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        page.gauge(
            "process_start_time_seconds",
            "When the process started, since 1970.",
            since.as_secs_f64(),
        );
        page
    }

    /// What only grows; by the rule of the format its name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], exact(value));
    }

    /// The same in parts, which a label tells apart.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        parts: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, "counter", help);
        for (part, value) in parts {
            self.sample(name, &[(label, part)], exact(value));
        }
    }

    /// What rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.text
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (at, (label, part)) in labels.iter().enumerate() {
            let part = part.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{}{label}=\"{part}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// Every number is a float in this format, in which the whole ones are exact for longer than any counter here counts.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn exact(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Metrics::default();
        page.counter("polls_total", "Polls.", 1_234_567_890_123);
        page.counters("ends_total", "Ends.", "outcome", [("success", 2), ("a \"b\"\\\n", 0)]);
        page.gauge("age_seconds", "Age.", 0.25);
        assert_eq!(
            page.into_text(),
            "# HELP polls_total Polls.\n# TYPE polls_total counter\npolls_total 1234567890123\n\
             # HELP ends_total Ends.\n# TYPE ends_total counter\nends_total{outcome=\"success\"} 2\n\
             ends_total{outcome=\"a \\\"b\\\"\\\\\\n\"} 0\n\
             # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 0.25\n"
        );
    }
}
