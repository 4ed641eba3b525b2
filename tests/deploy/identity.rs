//! The package that the server named is the one that is deployed, or nothing is.

use jiff::ZonedDateTime;
use octarm::{
    conventions::Conventions,
    deploy::{Expected, Guard, Job, Log, Redactor, run},
    model::{Outcome, Variable},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Scene;
use crate::support::aws::Credentials;

#[tokio::test]
async fn another_package_than_the_named_one_is_refused_before_any_call() {
    let scene = Scene::new();
    let Credentials { key_id, secret, .. } = Credentials::default();
    let variables = [
        ("Octopus.Environment.Name", "CI"),
        ("AWS.Deployment.Region", scene.aws.region()),
        ("AWS.Deployment.Key", &key_id),
        ("AWS.Deployment.Secret", &secret),
    ];
    let job = Job {
        package: scene.package(),
        file_name: "Orders.1.0.0.nupkg".to_owned(),
        expected: Some(Expected { id: "Orders".to_owned(), version: "1.0.1".to_owned() }),
        variables: variables.into_iter().map(|(name, value)| Variable::plain(name, value)).collect(),
        work: scene.folder.path().to_owned(),
        journal: Vec::new(),
        known: None,
        pace: octarm::aws::Pace::default(),
        dry_run: false,
        started: ZonedDateTime::now(),
    };
    let (events, _received) = mpsc::unbounded_channel();
    let guard = Guard::Alone { cancel: CancellationToken::new() };
    let log = Log::new(events, Redactor::default());
    let ran = run(job, &Conventions::load(None).unwrap(), &log, &guard).await.unwrap();
    let Outcome::Failed { failure } = ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!(failure.messages, ["the package holds Orders 1.0.0, but the server named Orders 1.0.1"]);
    assert!(ran.plan.is_none(), "AWS was not asked what is there");
}
