//! The NuGet manifest: id and version of a package, whatever namespace it is written in.

use super::filename::is_valid_id;

/// What is wrong with a NuGet manifest.
#[derive(Debug, thiserror::Error)]
pub enum NuspecProblem {
    /// There is none.
    #[error("no `.nuspec` lies at its root")]
    Missing,
    /// There is more than one.
    #[error("both `{0}` and `{1}` lie at its root")]
    Two(String, String),
    /// Too large to be a manifest.
    #[error("it is {found} bytes long: at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// Not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// Not XML.
    #[error("it is not XML: {}", super::names::shown(.0.as_bytes()))]
    Xml(String),
    /// An element is not there.
    #[error("it has no `{0}` under `package/metadata`")]
    Element(&'static str),
    /// Not an id.
    #[error("`{}` is not a package id", super::names::shown(.0.as_bytes()))]
    Id(String),
}

/// Id and version, as written.
pub(super) fn read(bytes: &[u8]) -> Result<(String, String), NuspecProblem> {
    let text = std::str::from_utf8(bytes).map_err(|_| NuspecProblem::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = roxmltree::Document::parse(text).map_err(|error| NuspecProblem::Xml(error.to_string()))?;
    let metadata = Some(document.root_element())
        .filter(|root| root.tag_name().name() == "package")
        .and_then(|root| root.children().find(|child| child.tag_name().name() == "metadata"));
    let value = |name: &'static str| {
        metadata
            .and_then(|metadata| metadata.children().find(|child| child.tag_name().name() == name))
            .and_then(|element| element.text())
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .ok_or(NuspecProblem::Element(name))
    };
    let id = value("id")?;
    if !is_valid_id(id) {
        return Err(NuspecProblem::Id(id.to_owned()));
    }
    Ok((id.to_owned(), value("version")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_namespace_or_none() {
        for namespace in ["", " xmlns='http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd'"] {
            let text = format!(
                "\u{feff}<?xml version='1.0'?><package{namespace}><metadata><id> Acme.Web </id><version>1.02</version></metadata></package>"
            );
            assert_eq!(read(text.as_bytes()).unwrap(), ("Acme.Web".to_owned(), "1.02".to_owned()));
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusals = [
            "<package/>",
            "<package><metadata><id>A</id></metadata></package>",
            "<other><metadata><id>A</id><version>1</version></metadata></other>",
            "<package><metadata><id>../A</id><version>1</version></metadata></package>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><package/>",
            "nothing",
        ]
        .map(|text| read(text.as_bytes()).unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refusals, @"
        it has no `id` under `package/metadata`
        it has no `version` under `package/metadata`
        it has no `id` under `package/metadata`
        `../A` is not a package id
        it is not XML: XML with DTD detected
        it is not XML: unknown token at 1:1
        ");
        assert!(matches!(read(b"\xff\xfe<\0"), Err(NuspecProblem::NotUtf8)));
    }
}
