//! What the conventions say about packages.

use serde::Deserialize;

/// Where the function lies in a package, what is dropped from a NuGet package, and the limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The folder that holds the function; a package without it is the function from its root on.
    pub function_folder: String,
    /// Names of files that are executable whatever they hold.
    pub executables: Vec<String>,
    /// Parts of a `.nupkg` that are not payload. Nothing is dropped from a `.zip`.
    pub dropped: Vec<DroppedPart>,
    /// How much a package may hold.
    pub limits: Limits,
}

/// A part of a `.nupkg` that is not payload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedPart {
    /// `name/` is a folder at the root, `*end` a file at the root that ends so, anything else a file at the
    /// root; compared without regard to case.
    pub part: String,
    /// Why it is dropped, for the log.
    pub reason: String,
}

/// How much a package may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files together, unzipped.
    pub unzipped_size: u64,
    /// Bytes of the NuGet manifest.
    pub nuspec_size: u64,
}

impl Layout {
    /// The part of a `.nupkg` that `name` belongs to, if that part is dropped.
    pub(super) fn dropped_part(&self, name: &str) -> Option<&DroppedPart> {
        self.dropped.iter().find(|dropped| dropped.holds(name))
    }

    /// Whether a file is executable by its name alone.
    pub(super) fn is_executable(&self, name: &str) -> bool {
        let file = name.rsplit('/').next().unwrap_or(name);
        self.executables.iter().any(|executable| executable == file)
    }
}

impl DroppedPart {
    fn holds(&self, name: &str) -> bool {
        let part = self.part.as_str();
        if part.ends_with('/') {
            return name.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part));
        }
        if name.contains('/') {
            return false;
        }
        match part.strip_prefix('*') {
            Some(end) => ends_with_ignoring_case(name, end),
            None => name.eq_ignore_ascii_case(part),
        }
    }
}

/// Whether `text` ends with `end`, without regard to the case of ASCII letters.
pub(super) fn ends_with_ignoring_case(text: &str, end: &str) -> bool {
    text.len()
        .checked_sub(end.len())
        .and_then(|start| text.get(start..))
        .is_some_and(|ending| ending.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conventions::Conventions;

    fn shipped() -> Layout {
        Conventions::load(None).unwrap().layout
    }

    #[test]
    fn the_shipped_file_is_read() {
        let layout = shipped();
        assert_eq!(layout.function_folder, "src/function");
        assert_eq!(layout.limits.unzipped_size, 262_144_000);
    }

    #[test]
    fn drops_only_what_nuget_added() {
        let layout = shipped();
        for name in [
            "_rels/.rels",
            "[Content_types].XML",
            "package/services/metadata/core-properties/1.psmdcp",
            "Acme.Web.nuspec",
            ".signature.p7s",
        ] {
            assert!(layout.dropped_part(name).is_some(), "{name}");
        }
        for name in [
            "package/other.txt",
            "src/_rels/.rels",
            "lib/Acme.nuspec",
            "src/.signature.p7s",
            "src/[Content_Types].xml",
            "_rels",
            "nuspec",
            "é",
        ] {
            assert!(layout.dropped_part(name).is_none(), "{name}");
        }
    }

    #[test]
    fn executable_by_name() {
        assert!(shipped().is_executable("bootstrap"));
        assert!(shipped().is_executable("src/function/bootstrap"));
        assert!(!shipped().is_executable("bootstrap/readme.txt"));
    }
}
