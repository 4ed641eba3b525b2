//! Lines for systemd's journal: each begins with its priority, and none has the time, which the journal notes itself.

use std::{fmt, os::fd::AsFd};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

/// Whether the journal reads this stream, which `JOURNAL_STREAM` names by device and inode. A process that inherits the
/// variable and has another stream is not fooled.
pub(super) fn reads(stream: impl AsFd, named: Option<&str>) -> bool {
    let Some(named) = named else { return false };
    rustix::fs::fstat(stream).is_ok_and(|stat| format!("{}:{}", stat.st_dev, stat.st_ino) == named)
}

/// The usual line with the priority before it.
#[derive(Debug)]
pub(super) struct Prioritised(Format<Full, ()>);

impl Prioritised {
    pub(super) fn new<T>(format: Format<Full, T>) -> Self {
        // The priority says the level already.
        Self(format.without_time().with_level(false))
    }
}

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        // The journal takes each line for a message of its own.
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

/// As syslog counts: err, warning, info, debug.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{fmt::layer, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_has_its_priority_and_no_time() {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = layer().with_writer(move || writer.clone()).with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.map_event_format(Prioritised::new));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(number = 1, "taken");
            tracing::error!("two\nlines");
            tracing::warn!("odd");
            tracing::debug!("small");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<6>taken number=1\n<3>two\n<3>lines\n<4>odd\n<7>small\n");
    }

    #[test]
    fn only_the_stream_that_is_named_is_the_journals() {
        let (one, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let stat = rustix::fs::fstat(&one).unwrap();
        let name = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(reads(&one, Some(&name)));
        assert!(!reads(&other, Some(&name)));
        assert!(!reads(&one, None));
    }
}
