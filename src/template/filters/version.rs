//! The parts of a version.

use super::Filtered;
use crate::version::OctopusVersion;

/// What of a version is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Major,
    Minor,
    Patch,
    Revision,
    PreRelease,
    PreReleasePrefix,
    PreReleaseCounter,
    Metadata,
}

/// Any options are passed over, as Octopus does; a text that is no version fails the evaluation.
pub(super) fn part(part: Part, input: &str) -> Filtered {
    let version: OctopusVersion = input.parse().map_err(|_| {
        "the input of a version filter is not a release number such as 1.2.3-beta.1".to_owned()
    })?;
    let [major, minor, patch, revision] = version.numbers();
    let prerelease = version.prerelease();
    let (prefix, counter) = prerelease.split_once(['.', '-', '_', '\\']).unwrap_or((prerelease, ""));
    Ok(Some(match part {
        Part::Major => major.to_string(),
        Part::Minor => minor.to_string(),
        Part::Patch => patch.to_string(),
        Part::Revision => revision.to_string(),
        Part::PreRelease => prerelease.to_owned(),
        Part::PreReleasePrefix => prefix.to_owned(),
        Part::PreReleaseCounter => counter.to_owned(),
        Part::Metadata => version.metadata().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, filter};

    #[test]
    fn every_part_of_every_version() {
        for (version, parts) in [
            ("1", ["1", "0", "0", "0", "", "", "", ""]),
            ("1.2.3.4", ["1", "2", "3", "4", "", "", "", ""]),
            ("v1.2", ["1", "2", "0", "0", "", "", "", ""]),
            ("V1.2.3.4-branch.1+meta", ["1", "2", "3", "4", "branch.1", "branch", "1", "meta"]),
            ("1.2.3-branch_hithere", ["1", "2", "3", "0", "branch_hithere", "branch", "hithere", ""]),
            ("1.2.3-Beta-01+A+b", ["1", "2", "3", "0", "Beta-01", "Beta", "01", "A+b"]),
            ("19.0.0.Final", ["19", "0", "0", "0", "Final", "Final", "", ""]),
            (
                "284.0.0-debian_component_based",
                ["284", "0", "0", "0", "debian_component_based", "debian", "component_based", ""],
            ),
            ("latest", ["0", "0", "0", "0", "latest", "latest", "", ""]),
        ] {
            let names = [
                "VersionMajor",
                "VersionMinor",
                "VersionPatch",
                "VersionRevision",
                "VersionPreRelease",
                "VersionPreReleasePrefix",
                "VersionPreReleaseCounter",
                "VersionMetadata|any|option",
            ];
            for (name, part) in names.into_iter().zip(parts) {
                check(&[(name, version, Some(part))]);
            }
        }
    }

    #[test]
    fn what_is_no_version_fails() {
        for input in ["", " ", "1.0 beta!", "99999999999"] {
            let error = filter("VersionMajor", Some(input)).unwrap_err();
            assert_eq!(error, "the input of a version filter is not a release number such as 1.2.3-beta.1");
        }
    }
}
