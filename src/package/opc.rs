//! The parts of a `.nupkg` besides its files, and how the names of its files are written.

use std::{collections::BTreeSet, fmt::Write};

/// A part: its name and its text.
pub(super) type Part = (String, String);

const CORE_PROPERTIES: &str = "package/services/metadata/core-properties/1.psmdcp";

/// The parts that make a zip of `files` (names as they are) a NuGet package.
pub(super) fn parts<'a>(id: &str, version: &str, files: impl Iterator<Item = &'a str>) -> Vec<Part> {
    let (id, version) = (escape(id), escape(version));
    let relationships = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{id}.nuspec" Id="R1" />
  <Relationship Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="/{CORE_PROPERTIES}" Id="R2" />
</Relationships>
"#
    );
    let nuspec = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>{id}</id>
    <version>{version}</version>
    <authors>octarm</authors>
    <description>{id}</description>
  </metadata>
</package>
"#
    );
    let properties = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<coreProperties xmlns="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <dc:creator>octarm</dc:creator>
  <dc:description>{id}</dc:description>
  <dc:identifier>{id}</dc:identifier>
  <version>{version}</version>
</coreProperties>
"#
    );
    vec![
        ("[Content_Types].xml".to_owned(), content_types(files)),
        ("_rels/.rels".to_owned(), relationships),
        (format!("{id}.nuspec"), nuspec),
        (CORE_PROPERTIES.to_owned(), properties),
    ]
}

/// Every file must have a type: by its extension, or by its name where it has none.
fn content_types<'a>(files: impl Iterator<Item = &'a str>) -> String {
    let mut extensions = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in files {
        let base = file.rsplit('/').next().unwrap_or(file);
        match base.rsplit_once('.') {
            Some((_, extension)) if !extension.is_empty() => {
                extensions.insert(extension.to_ascii_lowercase())
            }
            _ => names.insert(part_name(file)),
        };
    }
    for own in ["rels", "psmdcp", "nuspec"] {
        extensions.remove(own);
    }
    let mut text = String::from(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
  <Default Extension="psmdcp" ContentType="application/vnd.openxmlformats-package.core-properties+xml" />
  <Default Extension="nuspec" ContentType="application/octet" />
"#,
    );
    // Writing to a string cannot fail.
    for extension in extensions {
        let extension = escape(&extension);
        let _ = writeln!(text, r#"  <Default Extension="{extension}" ContentType="application/octet" />"#);
    }
    for name in names {
        let name = escape(&name);
        let _ = writeln!(text, r#"  <Override PartName="/{name}" ContentType="application/octet" />"#);
    }
    text.push_str("</Types>\n");
    text
}

/// The name of a file as NuGet stores it: other ASCII characters than letters, digits and `-_.~` are
/// percent-encoded, all others stand as they are.
pub(super) fn part_name(file: &str) -> String {
    let mut name = String::with_capacity(file.len());
    for character in file.chars() {
        if !character.is_ascii()
            || character.is_ascii_alphanumeric()
            || matches!(character, '-' | '_' | '.' | '~' | '/')
        {
            name.push(character);
        } else {
            let _ = write!(name, "%{:02X}", u32::from(character));
        }
    }
    name
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_nuget_writes_them() {
        for (file, name) in
            [("a b/c+d.txt", "a%20b/c%2Bd.txt"), ("100%#@.js", "100%25%23%40.js"), ("é~(1)", "é~%281%29")]
        {
            assert_eq!(part_name(file), name);
        }
    }

    #[test]
    fn every_file_has_a_type() {
        let text = content_types(["b.JS", "src/bootstrap", "a.js", "a&b", "x.a<b", "end."].into_iter());
        insta::assert_snapshot!(text, @r#"
        <?xml version="1.0" encoding="utf-8"?>
        <Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
          <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
          <Default Extension="psmdcp" ContentType="application/vnd.openxmlformats-package.core-properties+xml" />
          <Default Extension="nuspec" ContentType="application/octet" />
          <Default Extension="a&lt;b" ContentType="application/octet" />
          <Default Extension="js" ContentType="application/octet" />
          <Override PartName="/a%26b" ContentType="application/octet" />
          <Override PartName="/end." ContentType="application/octet" />
          <Override PartName="/src/bootstrap" ContentType="application/octet" />
        </Types>
        "#);
        roxmltree::Document::parse(&text).unwrap();
    }
}
