//! Names of files in a package: from bytes to a path that is safe to write anywhere.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{EntryProblem, Layout, PackageError};

/// The longest name of one file or folder on the file systems that matter.
const LONGEST_PART: usize = 255;

/// A checked name: parts with `/` between them, none of which leads anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) is_folder: bool,
}

/// Reads a stored name. `None` is the root itself, which some tools list as `./`.
///
/// Old Windows tools write `\` between the parts and bsdtar begins names with `./`: both are read. Percent
/// signs are decoded only in a NuGet package and before all checks, because `..%2f` is a path too.
pub(super) fn read(raw: &[u8], percent_decode: bool) -> Result<Option<Name>, EntryProblem> {
    let text = std::str::from_utf8(raw).map_err(|_| EntryProblem::NotUtf8)?.replace('\\', "/");
    if text == "./" {
        return Ok(None);
    }
    let text = text.strip_prefix("./").unwrap_or(&text);
    let (text, is_folder) = match text.strip_suffix('/') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let text = if percent_decode {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded.map_err(|_| EntryProblem::NotUtf8)?.into_owned()
    } else {
        text.to_owned()
    };
    check(&text)?;
    Ok(Some(Name { text, is_folder }))
}

/// Refuses names that are not a path below the root, or not one on every system.
pub(super) fn check(name: &str) -> Result<(), EntryProblem> {
    if name.starts_with('/') {
        return Err(EntryProblem::Absolute);
    }
    if let Some(bad) = name.chars().find(|&c| c.is_control() || c == ':' || c == '\\') {
        return Err(EntryProblem::Character(bad));
    }
    for part in name.split('/') {
        match part {
            "" => return Err(EntryProblem::EmptyPart),
            "." => return Err(EntryProblem::DotPart(".")),
            ".." => return Err(EntryProblem::DotPart("..")),
            _ if part.len() > LONGEST_PART => return Err(EntryProblem::LongPart(part.len())),
            _ => {}
        }
    }
    Ok(())
}

/// Two of a package's names that cannot both be: their places, in the order of the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) first: usize,
    pub(super) second: usize,
    /// The name is the same; else one of them is a folder of the other.
    pub(super) same: bool,
}

/// Finds files that come twice, and files that are folders too.
///
/// Names are sorted as if `/` came before all other characters: what lies in a folder then follows the folder
/// directly, so neighbours tell all. Looking up every folder of every name would let a package of deep names
/// cost more than its size.
pub(super) fn find_clash<T>(items: &[T], name: impl Fn(&T) -> &Name) -> Option<Clash> {
    let named = |place: u32| name(&items[place as usize]);
    let mut order: Vec<u32> = (0_u32..).take(items.len()).collect();
    // Among equal names files come first, and then in the order of the package.
    order.sort_unstable_by(|&one, &other| {
        let (first, second) = (named(one), named(other));
        by_folders(&first.text, &second.text)
            .then(first.is_folder.cmp(&second.is_folder))
            .then(one.cmp(&other))
    });
    order.windows(2).find_map(|pair| {
        let &[one, other] = pair else { return None };
        let (above, below) = (named(one), named(other));
        let rest = below.text.strip_prefix(&above.text)?;
        if above.is_folder || !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let (one, other) = (one as usize, other as usize);
        Some(Clash {
            first: one.min(other),
            second: one.max(other),
            same: rest.is_empty() && !below.is_folder,
        })
    })
}

/// The order of names in which `/` comes before all other characters.
fn by_folders(one: &str, other: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    one.bytes().map(rank).cmp(other.bytes().map(rank))
}

/// How many entries a message lists before it says how many more there are.
const LISTED: usize = 8;

/// The top-level names of `names`, for a message.
pub(super) fn top_level<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let top: BTreeSet<String> = names
        .map(|name| match name.split_once('/') {
            Some((folder, _)) => format!("`{folder}/`"),
            None => format!("`{name}`"),
        })
        .collect();
    if top.is_empty() {
        return "no files".to_owned();
    }
    let listed = top.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match top.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// The stored name for a message: other bytes than UTF-8 show as �, control characters escaped.
pub(super) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Refuses more entries or bytes than the limits allow.
pub(super) fn check_limits(
    package: &str,
    layout: &Layout,
    entries: usize,
    size: u64,
) -> Result<(), PackageError> {
    let limits = layout.limits;
    let package = package.to_owned();
    if entries > limits.entries {
        return Err(PackageError::TooManyEntries { package, found: entries, limit: limits.entries });
    }
    if size > limits.unzipped_size {
        return Err(PackageError::TooLarge { package, found: size, limit: limits.unzipped_size });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str, percent_decode: bool) -> Result<String, EntryProblem> {
        let name = read(raw.as_bytes(), percent_decode)?;
        Ok(name.map_or("the root".to_owned(), |name| name.text + if name.is_folder { "/" } else { "" }))
    }

    #[test]
    fn habits_of_producers_are_read() {
        for (raw, read) in [
            ("a/b.txt", "a/b.txt"),
            ("./a/b.txt", "a/b.txt"),
            ("./", "the root"),
            (".\\", "the root"),
            ("a/", "a/"),
            ("a\\b\\", "a/b/"),
            (".\\a", "a"),
            ("my%20file", "my%20file"),
            ("...", "..."),
            ("é/ü", "é/ü"),
        ] {
            assert_eq!(text(raw, false).as_deref(), Ok(read), "{raw}");
        }
        for (raw, read) in
            [("my%20file%2B", "my file+"), ("100%", "100%"), ("a%252e", "a%2e"), ("a%2Fb", "a/b")]
        {
            assert_eq!(text(raw, true).as_deref(), Ok(read), "{raw}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(256);
        for raw in [
            "", "/", "/etc", "..", "a/../b", "a/./b", "a//b", "././a", "a//", "..\\a", "\\a", "C:\\a",
            "a\nb", "a\0", &long, "./../a", ".",
        ] {
            assert!(text(raw, false).is_err(), "{raw:?}");
        }
        for raw in ["..%2f..%2fx", "%2e%2e/x", "a%00", "a%5Cb", "%2fetc", "a%2F", "%ff", "%3A"] {
            assert!(text(raw, true).is_err(), "{raw}");
        }
    }

    #[test]
    fn clashes_are_found_in_either_order() {
        let clash = |texts: &[&str]| {
            let names: Vec<_> =
                texts.iter().map(|text| read(text.as_bytes(), false).unwrap().unwrap()).collect();
            find_clash(&names, |name| name)
        };
        for (first, second) in [("a", "a/b"), ("a/", "a"), ("a/b", "a/b/c/"), ("x", "x"), ("a", "a/b/c")] {
            let same = first == second;
            for (texts, places) in
                [([first, second, "a!", "a-", "z"], (0, 1)), (["a-", "a!", "z", second, first], (3, 4))]
            {
                let expected = Clash { first: places.0, second: places.1, same };
                assert_eq!(clash(&texts), Some(expected), "{texts:?}");
            }
        }
        assert_eq!(clash(&["a/", "a/", "a/b", "a/c", "A", "ab", "a.b", "a/b.c/", "a-/b", "é", "é!"]), None);
    }
}
