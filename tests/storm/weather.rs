//! What goes wrong when, drawn from a seed.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::SyncSender,
    },
    thread,
    time::Duration,
};

use fastrand::Rng;

use super::fleet::Blow;
use crate::support::aws::{Action, FakeAws, Fault};

/// How many blows of each kind fell.
pub(super) type Struck = BTreeMap<&'static str, usize>;

/// Blows until the last deployment was made.
pub(super) fn blow(
    mut rng: Rng,
    aws: &FakeAws,
    ships: &[SyncSender<Blow>],
    server: &SyncSender<Blow>,
    left: &AtomicUsize,
) -> Struck {
    let mut struck = Struck::new();
    let mut tell = |what| *struck.entry(what).or_default() += 1;
    while left.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(rng.u64(60..400)));
        let ship = &ships[rng.usize(..ships.len())];
        let (what, hit) = match rng.u32(..100) {
            0..10 => ("worker killed", ship.try_send(Blow::Kill(milliseconds(&mut rng, 0..600))).is_ok()),
            10..16 => ("worker drained", ship.try_send(Blow::Drain).is_ok()),
            16..23 => {
                let time = milliseconds(&mut rng, 50..4000);
                ("worker halted", ship.try_send(Blow::Halt { time, asleep: false }).is_ok())
            }
            23..30 => {
                let time = milliseconds(&mut rng, 50..4000);
                ("worker's machine suspended", ship.try_send(Blow::Halt { time, asleep: true }).is_ok())
            }
            30..38 => {
                let seconds = [0, 3600, -3600][rng.usize(..3)];
                ("wall clock jumped", ship.try_send(Blow::Jump(seconds)).is_ok())
            }
            38..50 => ("line cut", ship.try_send(Blow::Cut(milliseconds(&mut rng, 50..4000))).is_ok()),
            50..60 => ("line broken in a request", ship.try_send(Blow::Break(rng.usize(..4000))).is_ok()),
            60..64 => ("server killed", server.try_send(Blow::Kill(milliseconds(&mut rng, 0..800))).is_ok()),
            64..67 => {
                aws.fail_update("InternalError", "the storm");
                ("update that Lambda cannot apply", true)
            }
            _ => (of_aws(&mut rng, aws), true),
        };
        if hit {
            tell(what);
        }
    }
    aws.forget_faults();
    struck
}

/// Scripts one fault of AWS.
fn of_aws(rng: &mut Rng, aws: &FakeAws) -> &'static str {
    let action = match rng.u32(..10) {
        0..4 => Action::UpdateFunctionCode,
        4..9 => Action::GetFunction,
        _ => Action::GetCallerIdentity,
    };
    let (what, fault) = match rng.u32(..100) {
        0..20 => ("AWS throttled", Fault::throttle([None, Some(1)][rng.usize(..2)])),
        20..35 => ("AWS server error", refuse(500, "ServiceException", "the storm")),
        35..40 => ("AWS refused", refuse(403, "AccessDeniedException", "the storm is not authorized")),
        40..50 => {
            ("AWS busy", refuse(409, "ResourceConflictException", "An update is in progress for resource: x"))
        }
        50..65 => ("AWS hung up before acting", Fault::CutBefore),
        65..80 => ("AWS acted and hung up", Fault::CutAfter),
        80..90 => ("AWS answered by half", Fault::CutBody(rng.usize(..200))),
        _ => ("AWS slow", Fault::SlowAnswer(milliseconds(rng, 100..3000))),
    };
    aws.on(action, Fault::Times(rng.usize(1..3), Box::new(fault)));
    what
}

fn refuse(status: u16, error_type: &str, message: &str) -> Fault {
    let (error_type, message) = (error_type.to_owned(), message.to_owned());
    Fault::Refuse { status, error_type, message, retry_after: None }
}

fn milliseconds(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}
