//! The NuGet manifest: id and version of a package, whatever namespace it is written in.

use std::borrow::Cow;

use roxmltree::Node;

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
    /// Not text in an encoding that needs no table.
    #[error("it is neither UTF-8 nor UTF-16 text")]
    NotText,
    /// Not XML.
    #[error("it is not XML: {}", super::names::shown(.0.as_bytes()))]
    Xml(String),
    /// An element is not there.
    #[error("it has no `{0}` under `package/metadata`")]
    Element(&'static str),
    /// An element is there twice, so readers differ in what they take.
    #[error("it has two `{0}` under `package/metadata`")]
    Twice(&'static str),
    /// Not an id.
    #[error("`{}` is not a package id", super::names::shown(.0.as_bytes()))]
    Id(String),
}

/// Id and version, as written.
pub(super) fn read(bytes: &[u8]) -> Result<(String, String), NuspecProblem> {
    let text = decode(bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // Entities can only come from a DTD, which the parser refuses: no manifest unfolds to more than it is.
    let document = roxmltree::Document::parse(text).map_err(|error| NuspecProblem::Xml(error.to_string()))?;
    let metadata =
        only(Some(document.root_element()).filter(|root| root.tag_name().name() == "package"), "metadata")?;
    let value = |name: &'static str| {
        let element = only(metadata, name)?.ok_or(NuspecProblem::Element(name))?;
        // A comment may stand in the middle of a value.
        let text: String = element.children().filter(Node::is_text).filter_map(|part| part.text()).collect();
        let text = text.trim();
        if text.is_empty() { Err(NuspecProblem::Element(name)) } else { Ok(text.to_owned()) }
    };
    let id = value("id")?;
    if !is_valid_id(&id) {
        return Err(NuspecProblem::Id(id));
    }
    Ok((id, value("version")?))
}

/// The child of that name, whatever its namespace.
fn only<'a, 'input>(
    parent: Option<Node<'a, 'input>>,
    name: &'static str,
) -> Result<Option<Node<'a, 'input>>, NuspecProblem> {
    let Some(parent) = parent else { return Ok(None) };
    let mut children = parent.children().filter(|child| child.tag_name().name() == name);
    let first = children.next();
    if children.next().is_some() {
        return Err(NuspecProblem::Twice(name));
    }
    Ok(first)
}

/// The text, by the byte order mark, or in UTF-16 without one by where the zeros of the first `<` stand.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, NuspecProblem> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| NuspecProblem::NotText),
    };
    let (pairs, []) = bytes.as_chunks() else { return Err(NuspecProblem::NotText) };
    char::decode_utf16(pairs.iter().copied().map(unit))
        .collect::<Result<String, _>>()
        .map(Cow::Owned)
        .map_err(|_| NuspecProblem::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(namespace: &str) -> String {
        format!(
            "<?xml version='1.0'?><package{namespace}><metadata><id> Acme.Wéb </id><!-- --><version>1.0<!-- \
             -->2</version><dependencies><dependency id='x'/></dependencies></metadata><files/></package>"
        )
    }

    fn is_read(bytes: &[u8]) -> bool {
        read(bytes).unwrap() == ("Acme.Wéb".to_owned(), "1.02".to_owned())
    }

    #[test]
    fn any_namespace_or_none() {
        let versions = ["2010/07", "2011/08", "2011/10", "2012/06", "2013/01", "2013/05", "2099/12"];
        let schemas =
            versions.map(|version| format!("http://schemas.microsoft.com/packaging/{version}/nuspec.xsd"));
        let own = schemas.iter().map(|schema| format!(" xmlns='{schema}'"));
        for namespace in own.chain([String::new(), " xmlns='urn:other' xmlns:x='urn:x' x:y='z'".to_owned()]) {
            assert!(is_read(manifest(&namespace).as_bytes()), "{namespace}");
        }
        // On the inner element alone, as some old tools write it, and by a prefix.
        let inner = manifest("").replace("<metadata>", "<metadata xmlns='urn:nuspec'>");
        assert!(is_read(inner.as_bytes()));
        let prefixed = "<n:package xmlns:n='urn:n'><n:metadata><n:id>A</n:id><n:version>1</n:version></n:metadata></n:package>";
        assert_eq!(read(prefixed.as_bytes()).unwrap(), ("A".to_owned(), "1".to_owned()));
    }

    #[test]
    fn any_unicode_encoding() {
        let text = manifest("");
        let marked = format!("\u{feff}{text}");
        assert!(is_read(marked.as_bytes()));
        for text in [&text, &marked] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert!(is_read(&little) && is_read(&big));
            // Half a character, and half of a pair.
            assert!(matches!(read(&little[..little.len() - 1]), Err(NuspecProblem::NotText)));
            assert!(matches!(read(&[&big[..], &[0xd8, 0]].concat()), Err(NuspecProblem::NotText)));
        }
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert!(matches!(read(&latin), Err(NuspecProblem::NotText)));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;&b;'>]><package><metadata><id>&c;</id></metadata></package>";
        let refusals = [
            "<package/>",
            "<package><metadata><id>A</id></metadata></package>",
            "<package><metadata><version>1</version></metadata></package>",
            "<package><metadata><id> </id><version>1</version></metadata></package>",
            "<package><metadata><id>A</id><version><x>1</x></version></metadata></package>",
            "<other><metadata><id>A</id><version>1</version></metadata></other>",
            "<package><metadata><id>A</id><id>B</id><version>1</version></metadata></package>",
            "<package><metadata><id>A</id><version>1</version><version>1</version></metadata></package>",
            "<package><metadata/><metadata><id>A</id><version>1</version></metadata></package>",
            "<package><metadata><id>../A</id><version>1</version></metadata></package>",
            bomb,
            "<package><metadata><id>&undeclared;</id></metadata></package>",
            "nothing",
            "",
        ]
        .map(|text| read(text.as_bytes()).unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refusals, @"
        it has no `id` under `package/metadata`
        it has no `version` under `package/metadata`
        it has no `id` under `package/metadata`
        it has no `id` under `package/metadata`
        it has no `version` under `package/metadata`
        it has no `id` under `package/metadata`
        it has two `id` under `package/metadata`
        it has two `version` under `package/metadata`
        it has two `metadata` under `package/metadata`
        `../A` is not a package id
        it is not XML: XML with DTD detected
        it is not XML: unknown entity reference 'undeclared' at 1:24
        it is not XML: unknown token at 1:1
        it is not XML: the document does not have a root node
        ");
    }

    #[test]
    fn deep_nesting_is_read_or_refused() {
        let deep = format!("<package>{}", "<a>".repeat(300_000));
        assert!(matches!(read(deep.as_bytes()), Err(NuspecProblem::Xml(_))));
    }
}
