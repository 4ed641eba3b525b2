//! AWS: which credentials, whose, and what they may do.

use std::collections::BTreeMap;

use jiff::ZonedDateTime;
use serde_json::Value;

use super::{Check, network, said};
use crate::{
    aws::{
        Aws, AwsError, AwsTime, Caller, Decision, FunctionName, Kind, Permission, Principal, Settled,
        partition, policy,
    },
    client::way,
    conventions::Conventions,
    deploy::{self, Access},
    model::Variable,
    template::Variables,
};

/// From so many seconds on AWS refuses what is signed, as too old or not yet valid.
const REFUSED: i64 = 300;
const APART: i64 = 60;
/// What AWS decides by besides a caller's own policies, and no simulation of those tells.
const BESIDES: &str = "not in the simulation: policies of buckets and keys, of a session, and conditions on the network or the time";

pub(super) struct Cloud<'c> {
    pub(super) conventions: Option<&'c Conventions>,
    pub(super) variables: &'c [Variable],
    pub(super) functions: &'c [FunctionName],
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) checks: Vec<Check>,
    pub(super) missing: Option<Value>,
    pub(super) needed: Option<Value>,
}

impl Cloud<'_> {
    /// `environment` is what the worker is registered for.
    pub(super) async fn examine(&self, environment: Option<&str>) -> Found {
        let mut found = Found::default();
        let variables: Variables = self.variables.iter().cloned().collect();
        let access = match deploy::access(&variables, &ZonedDateTime::now()) {
            Ok(access) => access,
            Err(error) => {
                found.checks.push(Check::failed("AWS settings", said(&error)).hint(error.hint()));
                return found;
            }
        };
        let aws =
            match Aws::connect(access.credentials.clone(), access.region.clone(), AwsTime::default()).await {
                Ok(aws) => aws,
                Err(error) => {
                    found.checks.push(unconnected(&error));
                    return found;
                }
            };
        found.checks.push(settings(&access, aws.region()));
        let (caller, time) = aws.caller_and_time().await;
        if time.is_some() || caller.is_ok() {
            found.checks.push(network::clock("AWS clock", "AWS's", time, APART, Some(REFUSED)));
        }
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => {
                found.checks.push(Check::failed("AWS identity", said(&error)).hint(error.hint()));
                return found;
            }
        };
        found.checks.push(identity(&caller, &access));
        let mut readable = BTreeMap::new();
        for name in self.functions {
            let (check, is_denied) = function(&aws, name).await;
            found.checks.push(check);
            readable.insert(name.as_str(), !is_denied);
        }
        self.permissions(&aws, &caller, &access, environment, &readable, &mut found).await;
        found
    }

    async fn permissions(
        &self,
        aws: &Aws,
        caller: &Caller,
        access: &Access,
        environment: Option<&str>,
        readable: &BTreeMap<&str, bool>,
        found: &mut Found,
    ) {
        let Some(partition) = partition(aws.region()) else {
            let text = format!("not simulated: where IAM is for {} is not known here", aws.region());
            found.checks.push(Check::unproven("AWS permissions", text));
            return;
        };
        let place = format!("arn:{partition}:lambda:{}:{}:function:", aws.region(), caller.account);
        let functions: Vec<String> = if self.functions.is_empty() {
            vec![self.function_pattern(environment)]
        } else {
            self.functions.iter().map(FunctionName::to_string).collect()
        };
        let mut needed = Vec::new();
        for function in &functions {
            for action in ["lambda:GetFunction", "lambda:UpdateFunctionCode"] {
                needed.push(Permission { action, resource: format!("{place}{function}") });
            }
        }
        if let Some(bucket) = &access.bucket {
            let objects = format!("arn:{partition}:s3:::{bucket}/{}", self.object_pattern(environment));
            for action in ["s3:GetObject", "s3:PutObject"] {
                needed.push(Permission { action, resource: objects.clone() });
            }
            needed.push(Permission {
                action: "s3:ListBucket",
                resource: format!("arn:{partition}:s3:::{bucket}"),
            });
        }
        found.needed = Some(policy(&needed));
        let principal = match Principal::of(&caller.arn) {
            Principal::Of(principal) => principal,
            Principal::Root => {
                let hint = "use a user or role that may do no more than it needs".to_owned();
                let text = "this is the account's root user, which may do everything";
                found.checks.push(Check::warning("AWS permissions", text).hint(hint));
                return;
            }
            Principal::Unknown => {
                let text = format!("not simulated: {} has no policies of its own", caller.arn);
                found.checks.push(Check::unproven("AWS permissions", text));
                return;
            }
        };
        let decisions = match aws.simulate(&principal, &needed).await {
            Ok(decisions) => decisions,
            Err(error) => {
                found.checks.push(unsimulated(&error, &principal));
                // A read that was refused is a fact all the same.
                let denied = |one: &Permission| {
                    one.action == "lambda:GetFunction"
                        && one
                            .resource
                            .rsplit(':')
                            .next()
                            .is_some_and(|name| readable.get(name) == Some(&false))
                };
                let missing: Vec<Permission> = needed.into_iter().filter(denied).collect();
                found.missing = (!missing.is_empty()).then(|| policy(&missing));
                return;
            }
        };
        let mut missing = Vec::new();
        for (one, decision) in needed.iter().zip(decisions) {
            found.checks.push(decided(one, decision, self.functions.is_empty()));
            if decision == Decision::NotAllowed {
                missing.push(one.clone());
            }
        }
        found.missing = (!missing.is_empty()).then(|| policy(&missing));
        found.checks.push(Check::unproven("AWS policies", BESIDES));
    }

    /// The names of all functions that deployments of the environment go to, as a pattern.
    fn function_pattern(&self, environment: Option<&str>) -> String {
        let named = self.conventions.and_then(|conventions| {
            conventions.function_name(&self.anything(environment), &ZonedDateTime::now()).ok()
        });
        named.map_or_else(|| "*".to_owned(), |(name, _)| name)
    }

    fn object_pattern(&self, environment: Option<&str>) -> String {
        let named = self.conventions.and_then(|conventions| {
            conventions.object_key(&self.anything(environment), "*", &ZonedDateTime::now()).ok()
        });
        named.map_or_else(|| "*".to_owned(), |(key, _)| key)
    }

    /// The variables of any deployment: what each has of its own may be anything.
    fn anything(&self, environment: Option<&str>) -> Variables {
        let mut all: Variables = self.conventions.into_iter().flat_map(Conventions::defaults).collect();
        all.extend(self.variables.iter().cloned());
        all.set(Variable::plain("Octopus.Environment.Name", environment.unwrap_or("*")));
        for name in ["Octopus.Project.Name", "Octopus.Release.Number", "Lambda.Function"] {
            all.set(Variable::plain(name, "*"));
        }
        for name in ["Octopus.Action.Package.PackageId", "Octopus.Action.Package.PackageVersion"] {
            all.set(Variable::plain(name, "*"));
        }
        all
    }
}

/// What the server gives a deployment is not known here, so what is missing may yet come.
fn unconnected(error: &AwsError) -> Check {
    let (found, hint) = match error {
        AwsError::NoRegion => (
            "no region here: unless the server gives deployments `AWS.Deployment.Region`, they fail",
            error.hint(),
        ),
        AwsError::NoCredentials { .. } => (
            "no credentials here: unless the server gives deployments `AWS.Deployment.Key` and `.Secret`, they fail",
            error.hint(),
        ),
        error => return Check::failed("AWS settings", said(error)).hint(error.hint()),
    };
    Check::unproven("AWS settings", found).hint(hint)
}

fn settings(access: &Access, region: &str) -> Check {
    let credentials = if access.credentials.is_some() {
        "`AWS.Deployment.Key` of this worker's environment"
    } else {
        "the AWS default chain"
    };
    let host = format!("https://lambda.{region}.amazonaws.com");
    let proxy = way(&host).ok().and_then(|way| way.proxy);
    let by = proxy.map(|proxy| format!(", by way of the proxy {}", proxy.address)).unwrap_or_default();
    let found = format!("credentials of {credentials}, region {region}{by}");
    Check::ok("AWS settings", format!("{found}; what the server gives a deployment goes first"))
}

fn identity(caller: &Caller, access: &Access) -> Check {
    let found = format!("account {} as {}", caller.account, caller.arn);
    match &access.account {
        Some(expected) if *expected != caller.account => {
            let hint = "use credentials of that account, or correct `AWS.Deployment.Account`".to_owned();
            Check::failed("AWS identity", format!("{found}, expected account {expected}")).hint(hint)
        }
        _ => Check::ok("AWS identity", found),
    }
}

/// Also answers whether reading it is refused.
async fn function(aws: &Aws, name: &FunctionName) -> (Check, bool) {
    let label = format!("AWS function {name}");
    match aws.get_function(name).await {
        Ok(function) if function.is_image => {
            let hint = "octarm deploys zips: make the function of a zip".to_owned();
            (Check::failed(label, "its code is a container image").hint(hint), false)
        }
        Ok(function) => {
            let check = match function.settled {
                Settled::Yes => Check::ok(label, "it is there, and takes updates"),
                Settled::No => Check::warning(label, "it is there, and an update is under way"),
                Settled::Failed(why) => {
                    Check::warning(label, format!("it is there, but its last update failed: {why}"))
                }
            };
            (check, false)
        }
        Err(error) => {
            let is_denied = error.kind() == Some(Kind::Denied);
            (Check::failed(label, said(&error)).hint(error.hint()), is_denied)
        }
    }
}

fn unsimulated(error: &AwsError, principal: &str) -> Check {
    let hint = match error {
        AwsError::Refused { kind: Kind::Denied, .. } => {
            "allow `iam:SimulatePrincipalPolicy` on its own ARN to these credentials, or compare the needed policy by hand"
                .to_owned()
        }
        AwsError::Refused { code, .. } if code == "NoSuchEntity" => {
            format!("a role with a path has another ARN than {principal}: compare the needed policy by hand")
        }
        _ => "compare the needed policy by hand".to_owned(),
    };
    Check::unproven("AWS permissions", format!("not simulated: {}", said(error))).hint(hint)
}

fn decided(one: &Permission, decision: Decision, is_pattern: bool) -> Check {
    let (label, on) = (format!("AWS {}", one.action), &one.resource);
    match decision {
        Decision::Allowed => Check::ok(label, format!("allowed on {on}")),
        Decision::Denied => {
            let hint = "find the statement that denies it: no policy that allows it helps".to_owned();
            Check::failed(label, format!("denied on {on}")).hint(hint)
        }
        Decision::Limited => {
            let hint = "ask whoever keeps the organisation's policies or the permissions boundary".to_owned();
            Check::failed(label, format!("the organisation or a boundary does not allow it on {on}"))
                .hint(hint)
        }
        // It tells a missing object from a hidden one; without it deployments still work.
        Decision::NotAllowed if one.action == "s3:ListBucket" => {
            let hint = "with it, a missing object is told from one that may not be read".to_owned();
            Check::warning(label, format!("not allowed on {on}")).hint(hint)
        }
        // A policy that names each function allows less than all of a pattern, and may be all that is needed.
        Decision::NotAllowed if is_pattern && one.action.starts_with("lambda:") => {
            let hint =
                "name the functions, each with `--function NAME`, to see whether they are allowed".to_owned();
            Check::warning(label, format!("not allowed on all of {on}")).hint(hint)
        }
        Decision::NotAllowed => Check::failed(label, format!("not allowed on {on}"))
            .hint("attach the policy that is shown as missing".to_owned()),
    }
}
