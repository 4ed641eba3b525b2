//! Nothing holds a zip in memory: a large one takes no more than a small one.

use std::path::Path;

use super::{FUNCTION, Scene};
use crate::support::{
    aws::{Action, Fault, Gate},
    packages::{Raw, write, zip},
};

/// The most memory that a deployment of this package had, in MB, when Lambda has taken the code.
fn peak(scene: &Scene, package: &Path) -> u64 {
    let gate = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldAfter(gate.clone()));
    let running = scene.deploy(package).spawn();
    gate.wait_reached();
    let status = fs_err::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1000;
    gate.open();
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    peak
}

#[test]
fn forty_five_megabytes_take_no_more_than_one_kilobyte() {
    let scene = Scene::new();
    let small = peak(&scene, &scene.package());
    let mut noise = vec![0; 45_000_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let large = zip(&[Raw { deflate: false, ..Raw::new("noise.bin", noise) }]);
    let package = write(scene.folder.path(), "Orders.2.0.0.zip", &large);
    let large = peak(&scene, &package);
    assert!(scene.aws.function(FUNCTION).zip.len() > 45_000_000);
    assert!(large < small + 10, "{large} MB for 45 MB, {small} MB for 1 kB");
}
