//! The engine through `octarm deploy`, against the strict fake of AWS.

mod cut;
mod errors;
mod faults;
mod happy;
mod identity;
mod memory;
mod sources;
mod through_s3;

pub(crate) use through_s3::too_large;

use std::path::PathBuf;

use crate::support::{
    aws::{Credentials, FakeAws},
    packages::{Producer, Raw, nupkg, write, zip},
    process::Program,
};

pub(crate) const FUNCTION: &str = "CI-Orders";

/// A fake with the function, and a package for it.
pub(crate) struct Scene {
    pub(crate) aws: FakeAws,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let aws = FakeAws::start();
        aws.create_function(FUNCTION, old_zip());
        Self { aws, folder: tempfile::tempdir().unwrap() }
    }

    /// `Orders.1.0.0.nupkg`, with its function below `src/function`.
    pub(crate) fn package(&self) -> PathBuf {
        self.package_with("1.0.0", "exports.handler = async () => '1.0.0'\n")
    }

    pub(crate) fn package_with(&self, version: &str, code: &str) -> PathBuf {
        let files = [("src/function/index.js", code), ("README.md", "not for Lambda")];
        let bytes = zip(&nupkg(Producer::NuGet, "Orders", version, &files));
        write(self.folder.path(), &format!("Orders.{version}.nupkg"), &bytes)
    }

    /// `octarm deploy PACKAGE --environment CI`, with the default credentials in the environment.
    pub(crate) fn deploy(&self, package: &std::path::Path) -> Program {
        self.deploy_as(package, &Credentials::default())
    }

    pub(crate) fn deploy_as(&self, package: &std::path::Path, credentials: &Credentials) -> Program {
        with_aws(Program::octarm(), &self.aws, credentials)
            .args(["deploy"])
            .args([package])
            .args(["--environment", "CI"])
    }
}

/// Lets a program find the fake with these credentials.
pub(crate) fn with_aws(program: Program, aws: &FakeAws, credentials: &Credentials) -> Program {
    program
        .env("AWS_ENDPOINT_URL", aws.endpoint())
        .env("AWS_DEPLOYMENT_REGION", aws.region())
        .env("AWS_DEPLOYMENT_KEY", &credentials.key_id)
        .env("AWS_DEPLOYMENT_SECRET", &credentials.secret)
}

/// What the function holds before.
pub(crate) fn old_zip() -> Vec<u8> {
    zip(&[Raw::new("index.js", "exports.handler = async () => 'old'\n").mode(0o644)])
}
