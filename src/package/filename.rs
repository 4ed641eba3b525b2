//! The file name of a package: `Id.Version.extension`.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::{
    model::letters::is_word,
    version::{SemanticVersion, VersionError},
};

/// The longest package id that NuGet accepts.
const LONGEST_ID: usize = 100;

/// The extensions that end a package file name. All are cut from names; all but `.jar` can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// A NuGet package.
    Nupkg,
    /// A plain zip.
    Zip,
    /// A tar.
    Tar,
    /// A tar in gzip.
    TarGz,
    /// A tar in gzip, in one word.
    Tgz,
    /// A tar in bzip2.
    TarBz2,
    /// A Java archive.
    Jar,
}

impl Extension {
    /// All of them, longer ones before those they end with.
    pub const ALL: [Self; 7] =
        [Self::TarGz, Self::TarBz2, Self::Nupkg, Self::Zip, Self::Tar, Self::Tgz, Self::Jar];

    /// With its leading dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nupkg => ".nupkg",
            Self::Zip => ".zip",
            Self::Tar => ".tar",
            Self::TarGz => ".tar.gz",
            Self::Tgz => ".tgz",
            Self::TarBz2 => ".tar.bz2",
            Self::Jar => ".jar",
        }
    }

    /// The known extension that `name` ends with, without regard to case, and what stands before it.
    pub fn cut(name: &str) -> Option<(&str, Self)> {
        Self::ALL.into_iter().find_map(|extension| {
            let stem = name.len().checked_sub(extension.as_str().len())?;
            let ending = name.get(stem..)?;
            ending.eq_ignore_ascii_case(extension.as_str()).then(|| (&name[..stem], extension))
        })
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a package file name says. The id is the shortest that leaves a version, as in Octopus's own
/// clients: `Acme.Web.2.1.2.3.zip` is `Acme.Web` in version `2.1.2.3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName {
    id: String,
    version: SemanticVersion,
    extension: Extension,
}

/// Why a file name is not one of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// The extension is not known.
    #[error("the file name `{}` does not end in a known package extension ({})", super::names::shown(name.as_bytes()), known())]
    Extension {
        /// The file name.
        name: String,
    },
    /// No id and version stand before the extension.
    #[error("the file name `{}` is not of the form `Id.Version{extension}`", super::names::shown(name.as_bytes()))]
    Form {
        /// The file name.
        name: String,
        /// Its extension.
        extension: Extension,
    },
    /// The id is too long or holds other characters.
    #[error(
        "`{id}` is not a package id: expected letters, digits and `_` with `.`, `-` between them, at most {LONGEST_ID} characters"
    )]
    Id {
        /// The id.
        id: String,
    },
    /// The version cannot be compared.
    #[error("the file name `{}` holds a version that cannot be read", super::names::shown(name.as_bytes()))]
    Version {
        /// The file name.
        name: String,
        /// What is wrong with it.
        source: VersionError,
    },
    /// A reader of the file name would find another id and version.
    #[error(
        "the id `{id}` and the version `{version}` make the file name `{name}`, which reads as the id `{read_id}` and the version `{read_version}`"
    )]
    Ambiguous {
        /// The id that was meant.
        id: String,
        /// The version that was meant.
        version: String,
        /// The file name they make.
        name: String,
        /// The id that is read back.
        read_id: String,
        /// The version that is read back.
        read_version: String,
    },
}

impl FileNameError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Extension { .. } | Self::Form { .. } => Some(
                "name the file like Acme.Web.1.2.3.nupkg, Acme.Web.1.2.3.zip or Acme.Web.1.2.3.tar.gz"
                    .to_owned(),
            ),
            Self::Ambiguous { .. } => Some(
                "choose an id without a part that is a number, or a version with other numbers".to_owned(),
            ),
            Self::Version { source, .. } => source.hint(),
            Self::Id { .. } => None,
        }
    }
}

fn known() -> String {
    Extension::ALL.map(Extension::as_str).join(" ")
}

/// Whether `id` may name a package: words of letters, digits and `_`, with single `.`, `_` or `-` between
/// them, at most 100 characters. Letters of all scripts count, and their marks, as in NuGet.
pub fn is_valid_id(id: &str) -> bool {
    id.chars().count() <= LONGEST_ID
        && id.split(['.', '-']).all(|word| !word.is_empty() && word.chars().all(is_word))
}

impl FileName {
    /// The file name of a package, if a reader of it finds the same id and version.
    pub fn new(id: &str, version: &SemanticVersion, extension: Extension) -> Result<Self, FileNameError> {
        if !is_valid_id(id) {
            return Err(FileNameError::Id { id: id.to_owned() });
        }
        let name = format!("{id}.{version}{extension}");
        let read: Self = name.parse()?;
        if read.id == id && read.version.as_str() == version.as_str() {
            return Ok(read);
        }
        Err(FileNameError::Ambiguous {
            id: id.to_owned(),
            version: version.to_string(),
            name,
            read_id: read.id,
            read_version: read.version.to_string(),
        })
    }

    /// The package id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version.
    pub fn version(&self) -> &SemanticVersion {
        &self.version
    }

    /// The extension.
    pub fn extension(&self) -> Extension {
        self.extension
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(name: &str) -> Result<Self, FileNameError> {
        if let Some((id, version, extension)) = cached(name) {
            return Self::new(&id, &version, extension);
        }
        let (stem, extension) =
            Extension::cut(name).ok_or_else(|| FileNameError::Extension { name: name.to_owned() })?;
        let (id, version) = stem
            .match_indices('.')
            .map(|(dot, _)| (&stem[..dot], &stem[dot + 1..]))
            .find(|(id, version)| is_valid_id(id) && has_version_form(version))
            .ok_or_else(|| FileNameError::Form { name: name.to_owned(), extension })?;
        let version =
            version.parse().map_err(|source| FileNameError::Version { name: name.to_owned(), source })?;
        Ok(Self { id: id.to_owned(), version, extension })
    }
}

/// Reads the name that Octopus gives a package in its caches: `Id@SVersion@Digits.extension`, the first two
/// percent-encoded. `S` marks the versions that we compare; what is marked otherwise has another order.
fn cached(name: &str) -> Option<(String, SemanticVersion, Extension)> {
    let mut parts = name.split('@');
    let (id, version, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (digits, extension) = Extension::cut(rest)?;
    if parts.next().is_some() || digits.is_empty() || digits.contains('.') {
        return None;
    }
    let id = percent_decode_str(id).decode_utf8().ok()?;
    // An id may have a path before it, which is not its name.
    let id = id.rsplit('/').next().filter(|id| is_valid_id(id))?;
    let version = percent_decode_str(version.strip_prefix('S')?).decode_utf8().ok()?;
    if !has_version_form(&version) {
        return None;
    }
    Some((id.to_owned(), version.parse().ok()?, extension))
}

/// Whether `text` has the form of a version, too large a number included: that one is an error to report,
/// not a reason to look for the version elsewhere in the name.
fn has_version_form(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && !text.contains(char::is_whitespace)
        && text.parse::<SemanticVersion>().map_or_else(|error| error.is_overflow(), |_| true)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.id, self.version, self.extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> String {
        match name.parse::<FileName>() {
            Ok(read) => format!("{name}: {} | {} | {}", read.id, read.version, read.extension),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_names_as_octopus_clients_do() {
        let table = [
            "Acme.Web.1.2.3-beta.1.zip",
            "Acme.Web.1.2.3-beta.1.tar.gz",
            "Acme.Core.1.0.0.0-bugfix.nupkg",
            "ELB.1.0.0+sha.5114f85.zip",
            "Acme.1.2.3.4.5.zip",
            "App.2.Core.1.0.0.zip",
            "Acme.Web.2.1.2.3.zip",
            "my-app-1.2.3.zip",
            "utf8.Filenames-1.0.0.zip",
            "Acme.v1.2.3.zip",
            "Café_2.1.0.ZIP",
            "App.1.zip",
        ]
        .map(read)
        .join("\n");
        insta::assert_snapshot!(table, @"
        Acme.Web.1.2.3-beta.1.zip: Acme.Web | 1.2.3-beta.1 | .zip
        Acme.Web.1.2.3-beta.1.tar.gz: Acme.Web | 1.2.3-beta.1 | .tar.gz
        Acme.Core.1.0.0.0-bugfix.nupkg: Acme.Core | 1.0.0.0-bugfix | .nupkg
        ELB.1.0.0+sha.5114f85.zip: ELB | 1.0.0+sha.5114f85 | .zip
        Acme.1.2.3.4.5.zip: Acme.1 | 2.3.4.5 | .zip
        App.2.Core.1.0.0.zip: App.2.Core | 1.0.0 | .zip
        Acme.Web.2.1.2.3.zip: Acme.Web | 2.1.2.3 | .zip
        my-app-1.2.3.zip: my-app-1 | 2.3 | .zip
        utf8.Filenames-1.0.0.zip: utf8.Filenames-1 | 0.0 | .zip
        Acme.v1.2.3.zip: Acme.v1 | 2.3 | .zip
        Café_2.1.0.ZIP: Café_2 | 1.0 | .zip
        App.1.zip: App | 1 | .zip
        ");
    }

    #[test]
    fn ids_are_of_the_words_of_dot_net() {
        for id in ["Cafe\u{301}", "a\u{203f}b", "日本語", "A_b-c.D"] {
            assert!(is_valid_id(id), "{id}");
        }
        for id in ["a½", "aⅧ", "a\u{10348}", "a b", "a..b", "a.", ""] {
            assert!(!is_valid_id(id), "{id}");
        }
    }

    #[test]
    fn refuses_other_names() {
        let table = [
            "Acme.1.2.3.zip.zip",
            "Acme Web.1.0.0.zip",
            "x.1.0.0-.zip",
            "x.1.0.0 .zip",
            "x.99999999999.1.zip",
            ".1.0.0.zip",
            "1.0.0.zip",
            "Acme.1.0.0.rar",
            "a/b.1.0.0.zip",
            "",
        ]
        .map(read)
        .join("\n");
        insta::assert_snapshot!(table, @"
        the file name `Acme.1.2.3.zip.zip` is not of the form `Id.Version.zip`
        the file name `Acme Web.1.0.0.zip` is not of the form `Id.Version.zip`
        the file name `x.1.0.0-.zip` is not of the form `Id.Version.zip`
        the file name `x.1.0.0 .zip` is not of the form `Id.Version.zip`
        the file name `x.99999999999.1.zip` holds a version that cannot be read
        the file name `.1.0.0.zip` is not of the form `Id.Version.zip`
        1.0.0.zip: 1 | 0.0 | .zip
        the file name `Acme.1.0.0.rar` does not end in a known package extension (.tar.gz .tar.bz2 .nupkg .zip .tar .tgz .jar)
        the file name `a/b.1.0.0.zip` is not of the form `Id.Version.zip`
        the file name `` does not end in a known package extension (.tar.gz .tar.bz2 .nupkg .zip .tar .tgz .jar)
        ");
    }

    #[test]
    fn reads_the_names_of_octopus_caches() {
        let table = [
            "Acme.Web@S1.2.3-beta.1@0123456789ABCDEF0123456789ABCDEF.nupkg",
            "team%2FAcme%2EWeb@S1.0%2Bmeta@AB.tar.gz",
            // Not of that form: read as any other name.
            "Acme.Web@O1.2.3@AB.zip",
            "Acme.Web@S1.2.3@.zip",
            "Acme.Web@S1.2.3@AB@CD.zip",
            "a@Sx@AB.zip",
            // Of that form, and a plain name of the same package would read as another one.
            "1.0-9ab@S1.0.0%2Bw@01.zip",
        ]
        .map(read)
        .join("\n");
        insta::assert_snapshot!(table, @"
        Acme.Web@S1.2.3-beta.1@0123456789ABCDEF0123456789ABCDEF.nupkg: Acme.Web | 1.2.3-beta.1 | .nupkg
        team%2FAcme%2EWeb@S1.0%2Bmeta@AB.tar.gz: Acme.Web | 1.0+meta | .tar.gz
        the file name `Acme.Web@O1.2.3@AB.zip` is not of the form `Id.Version.zip`
        the file name `Acme.Web@S1.2.3@.zip` is not of the form `Id.Version.zip`
        the file name `Acme.Web@S1.2.3@AB@CD.zip` is not of the form `Id.Version.zip`
        the file name `a@Sx@AB.zip` is not of the form `Id.Version.zip`
        the id `1.0-9ab` and the version `1.0.0+w` make the file name `1.0-9ab.1.0.0+w.zip`, which reads as the id `1` and the version `0-9ab.1.0.0+w`
        ");
    }

    #[test]
    fn a_name_that_reads_back_differently_is_not_made() {
        let error = FileName::new("Acme.1", &"2.3.0".parse().unwrap(), Extension::Zip).unwrap_err();
        insta::assert_snapshot!(error, @"the id `Acme.1` and the version `2.3.0` make the file name `Acme.1.2.3.0.zip`, which reads as the id `Acme` and the version `1.2.3.0`");
        let error = FileName::new("Acme Web", &"2.3.0".parse().unwrap(), Extension::Zip).unwrap_err();
        insta::assert_snapshot!(error, @"`Acme Web` is not a package id: expected letters, digits and `_` with `.`, `-` between them, at most 100 characters");
        let name = FileName::new("Acme.Web", &"2.03.0".parse().unwrap(), Extension::Nupkg).unwrap();
        assert_eq!(name.to_string(), "Acme.Web.2.03.0.nupkg");
    }

    #[test]
    fn ids() {
        for id in ["Acme.Web", "a", "a_b-c.d", "_", "a__b", "Füße", &"x".repeat(100)] {
            assert!(is_valid_id(id), "{id}");
        }
        for id in ["", ".", "a.", ".a", "a..b", "a-.b", "a b", "a/b", "a@b", &"x".repeat(101)] {
            assert!(!is_valid_id(id), "{id}");
        }
    }
}
