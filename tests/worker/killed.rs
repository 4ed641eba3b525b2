//! Killed with -9 at every arrow of a deployment, and started again: what AWS held then, what the worker concluded, how
//! it ended. Wherever it happens, the code is sent once and the end says what is there.

use std::{fmt, thread};

use super::{FUNCTION, Setup, old_zip, release};
use crate::{
    deploy::too_large,
    support::{
        arrows::{Arrows, Way},
        aws::{Action, FakeAws, Fault, Gate, REGION},
        setup::{Access, Options},
    },
};

const BUCKET: &str = "zips";
/// What a worker that continues says of what it found; else it had nothing to find out.
const CONCLUSIONS: [&str; 3] = [
    "an earlier attempt sent this code: it is verified, not sent again",
    "an earlier attempt ended before its update took effect: it is made now",
    "an earlier attempt did not report its end: finding out what it did",
];

/// Where the worker is killed.
#[derive(Clone, Copy)]
enum Point {
    /// At a request to the server, of which so many passed before.
    Server(&'static str, usize, Way),
    /// At a call of AWS, of which so many passed before, before it acts or after.
    Aws(Action, usize, Way),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (call, number, way) = match self {
            Self::Server(call, after, way) => ((*call).trim_start_matches('/').to_owned(), after + 1, way),
            Self::Aws(action, after, way) => (format!("{action:?}"), after + 1, way),
        };
        let when = if *way == Way::Back { "after" } else { "before" };
        write!(f, "{when} {call} {number}")
    }
}

/// Straight to Lambda. The journal has an intent and an effect.
const DIRECT: [Point; 17] = [
    Point::Server("/claim", 0, Way::Back),
    Point::Server("/renew", 0, Way::There),
    Point::Server("/renew", 0, Way::Back),
    Point::Server("/package", 0, Way::There),
    Point::Server("/package", 0, Way::Back),
    Point::Server("/log", 0, Way::There),
    Point::Server("/log", 0, Way::Back),
    Point::Aws(Action::GetFunction, 0, Way::There),
    Point::Server("/journal", 0, Way::There),
    Point::Server("/journal", 0, Way::Back),
    Point::Aws(Action::UpdateFunctionCode, 0, Way::There),
    Point::Aws(Action::UpdateFunctionCode, 0, Way::Back),
    Point::Aws(Action::GetFunction, 1, Way::There),
    Point::Server("/journal", 1, Way::There),
    Point::Server("/journal", 1, Way::Back),
    Point::Server("/finish", 0, Way::There),
    Point::Server("/finish", 0, Way::Back),
];

/// Through S3, for what Lambda takes in no request: the intent of the refused update, then intent and effect of the
/// upload, then the effect of the update.
const THROUGH_S3: [Point; 10] = [
    Point::Aws(Action::HeadObject, 0, Way::There),
    Point::Server("/journal", 1, Way::There),
    Point::Server("/journal", 1, Way::Back),
    Point::Aws(Action::PutObject, 0, Way::There),
    Point::Aws(Action::PutObject, 0, Way::Back),
    Point::Server("/journal", 2, Way::There),
    Point::Server("/journal", 2, Way::Back),
    Point::Aws(Action::UpdateFunctionCode, 1, Way::There),
    Point::Aws(Action::UpdateFunctionCode, 1, Way::Back),
    Point::Server("/journal", 3, Way::There),
];

/// A row of the table.
struct Row {
    point: Point,
    held: &'static str,
    concluded: &'static str,
    end: String,
}

/// Kills a worker there and lets another process go on.
fn kill_at(point: Point, through_s3: bool) -> Row {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    aws.create_bucket(BUCKET, REGION, true);
    let setup = Setup::start_with(&Options { lease: Some(2), ..Options::default() });
    setup.create(&["CI"], "Orders");
    if through_s3 {
        setup.run(&["variable", "set", "--project", "Orders", &format!("AWS.Deployment.Bucket={BUCKET}")]);
    }
    release(&setup, "1.0.0");
    let arrows = Arrows::before(setup.address());
    let mut worker = setup.worker_through(&arrows.url(), "ci-1", "CI", &Access::to_fake(&aws));
    let fault = |gate: &Gate, way| match way {
        Way::There | Way::Late => Fault::HoldBefore(gate.clone()),
        Way::Back => Fault::HoldAfter(gate.clone()),
    };
    if through_s3 {
        aws.on(Action::UpdateFunctionCode, too_large());
    }
    let gate = match point {
        Point::Server(call, after, way) => arrows.hold(call, after, way),
        Point::Aws(action, after, way) => {
            let gate = Gate::shut();
            // The first update of those that go through S3 is refused as scripted.
            let refused = usize::from(through_s3 && action == Action::UpdateFunctionCode);
            for _ in refused..after {
                let open = Gate::shut();
                open.open();
                aws.on(action, Fault::HoldBefore(open));
            }
            aws.on(action, fault(&gate, way));
            gate
        }
    };
    let task = if let Point::Server("/claim", ..) = point {
        // The claim that waits already would bring it.
        worker.kill();
        let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
        worker.start_unawaited();
        task
    } else {
        setup.deploy("Orders", "1.0.0", "CI").0
    };
    gate.wait_reached();
    worker.kill();
    let function = aws.function(FUNCTION);
    let is_stored = !aws.objects(BUCKET).is_empty();
    let held = match (function.updates_applied, function.last_update_status) {
        (0, _) if is_stored => "old code, zip in S3",
        (0, _) => "old code",
        (_, "InProgress") => "update under way",
        _ => "new code",
    };
    if through_s3 {
        aws.forget_faults();
        // Whoever continues meets the same Lambda.
        if function.updates_applied == 0 {
            aws.on(Action::UpdateFunctionCode, too_large());
        }
    }
    // A request that has not left this machine dies with the worker: its gate stays shut.
    worker.start_again();
    let end = setup.follow(&task);
    assert_eq!(end.code, Some(0), "{point}: {end:?}");
    let function = aws.function(FUNCTION);
    assert_eq!(function.updates_applied, 1, "{point}: {:?}", aws.calls());
    let said = format!("runs Orders 1.0.0 (CodeSha256 {})", function.code_sha256);
    assert!(end.stdout.contains(&said), "{point}: {end:?}");
    let versions: usize = aws.objects(BUCKET).values().map(Vec::len).sum();
    assert!(
        versions <= 1 || matches!(point, Point::Aws(Action::PutObject, _, _)),
        "{point}: {versions} objects"
    );
    let concluded = CONCLUSIONS.into_iter().find(|said| end.stdout.contains(said));
    let concluded = concluded.unwrap_or("its end was recorded, or it was never begun");
    Row { point, held, concluded, end: setup.task(&task)["State"].as_str().unwrap().to_owned() }
}

#[test]
fn at_each_arrow_of_a_deployment() {
    let points: Vec<(Point, bool)> =
        DIRECT.map(|point| (point, false)).into_iter().chain(THROUGH_S3.map(|point| (point, true))).collect();
    // Most of the time a lease runs out.
    let rows: Vec<Row> = points
        .chunks(9)
        .flat_map(|some| {
            thread::scope(|scope| {
                let threads: Vec<_> = some
                    .iter()
                    .map(|&(point, through_s3)| scope.spawn(move || kill_at(point, through_s3)))
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    println!("{:<30} {:<22} {:<72} end", "killed", "AWS held", "concluded");
    for Row { point, held, concluded, end } in &rows {
        println!("{:<30} {held:<22} {concluded:<72} {end}", point.to_string());
    }
    let sent_once = rows.iter().filter(|row| row.concluded == CONCLUSIONS[0]).count();
    let made_now = rows.iter().filter(|row| row.concluded == CONCLUSIONS[1]).count();
    assert!(sent_once >= 7 && made_now >= 5, "{sent_once} were verified, {made_now} were made");
}
