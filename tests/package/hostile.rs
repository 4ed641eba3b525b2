//! Names that lead elsewhere or clash, and packages past the limits: each is refused, with words that say why. What
//! can be wrong with a zip itself is in `structure.rs` and `headers.rs`.

use octarm::package::{Package, PackageError};

use crate::support::packages::{self, Producer, Raw, layout, nupkg, open, zip};

fn refusals(packages: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> String {
    packages
        .into_iter()
        .map(|(name, bytes)| open(name, &bytes).unwrap_err().to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn names_that_lead_elsewhere() {
    let long = "x".repeat(256);
    let names: [&[u8]; 12] = [
        b"../evil",
        b"a/../../evil",
        b"..\\evil",
        b"/etc/passwd",
        b"\\\\server\\share",
        b"C:\\evil",
        b"a//b",
        b"a/./b",
        b"a\nb",
        b"a\0b",
        b"caf\x82",
        long.as_bytes(),
    ];
    insta::assert_snapshot!(refusals(names.map(|name| ("A.1.0.zip", zip(&[Raw::new(name, "x")])))), @r"
    `A.1.0.zip` holds `../evil`: its name has the part `..`, which leads out of the package or nowhere
    `A.1.0.zip` holds `a/../../evil`: its name has the part `..`, which leads out of the package or nowhere
    `A.1.0.zip` holds `..\evil`: its name has the part `..`, which leads out of the package or nowhere
    `A.1.0.zip` holds `/etc/passwd`: its name is an absolute path
    `A.1.0.zip` holds `\\server\share`: its name is an absolute path
    `A.1.0.zip` holds `C:\evil`: its name holds the character ':'
    `A.1.0.zip` holds `a//b`: its name has an empty part
    `A.1.0.zip` holds `a/./b`: its name has the part `.`, which leads out of the package or nowhere
    `A.1.0.zip` holds `a\nb`: its name holds the character '\n'
    `A.1.0.zip` holds `a\u{0}b`: its name holds the character '\0'
    `A.1.0.zip` holds `caf�`: its name is neither ASCII nor UTF-8
    `A.1.0.zip` holds `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`: a part of its name is 256 bytes long: at most 255 are allowed
    ");
}

#[test]
fn names_are_checked_after_decoding() {
    let names = ["..%2f..%2fevil", "%2e%2e/evil", "a%5C..%5Cevil", "a%00", "%ff", "C%3A/evil"];
    let packages = names.map(|name| zip(&nupkg(Producer::NuGet, "A", "1.0", &[(name, "x")])));
    insta::assert_snapshot!(refusals(packages.map(|bytes| ("A.1.0.nupkg", bytes))), @r"
    `A.1.0.nupkg` holds `..%2f..%2fevil`: its name has the part `..`, which leads out of the package or nowhere
    `A.1.0.nupkg` holds `%2e%2e/evil`: its name has the part `..`, which leads out of the package or nowhere
    `A.1.0.nupkg` holds `a%5C..%5Cevil`: its name holds the character '\\'
    `A.1.0.nupkg` holds `a%00`: its name holds the character '\0'
    `A.1.0.nupkg` holds `%ff`: its name is neither ASCII nor UTF-8
    `A.1.0.nupkg` holds `C%3A/evil`: its name holds the character ':'
    ");
    // In a zip they are only odd names.
    assert!(open("A.1.0.zip", &zip(&[Raw::new("..%2fevil", "")])).is_ok());
}

#[test]
fn names_that_clash() {
    let pair = |first: &str, second: &str| zip(&[Raw::new(first, "1"), Raw::new(second, "2")]);
    let decoded = zip(&nupkg(Producer::NuGet, "A", "1.0", &[("a%20b", "1"), ("a b", "2")]));
    let refusals = refusals([
        ("A.1.0.zip", pair("a", "a")),
        ("A.1.0.zip", pair("a", "./a")),
        ("A.1.0.zip", pair("a/b", "a\\b")),
        ("A.1.0.zip", pair("a", "a/b")),
        ("A.1.0.zip", pair("a/b", "a")),
        ("A.1.0.nupkg", decoded),
    ]);
    insta::assert_snapshot!(refusals, @r"
    `A.1.0.zip` holds `a`: the package holds that name twice, as `a` and as this
    `A.1.0.zip` holds `./a`: the package holds that name twice, as `a` and as this
    `A.1.0.zip` holds `a\b`: the package holds that name twice, as `a/b` and as this
    `A.1.0.zip` holds `a/b`: `a` is both a file and a folder
    `A.1.0.zip` holds `a`: `a` is both a file and a folder
    `A.1.0.nupkg` holds `a b`: the package holds that name twice, as `a%20b` and as this
    ");
}

#[test]
fn more_than_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let mut layout = layout();
    layout.limits.entries = 2;
    layout.limits.unzipped_size = 10;
    let open = |entries: &[Raw]| -> Result<Package, PackageError> {
        let path = packages::write(folder.path(), "A.1.0.zip", &zip(entries));
        Package::open(&path, None, &layout, folder.path())
    };
    open(&[Raw::new("a", "12345"), Raw::new("b", "67890")]).unwrap();
    let many = open(&["a", "b", "c"].map(|name| Raw::new(name, ""))).unwrap_err();
    insta::assert_snapshot!(many, @"`A.1.0.zip` holds 3 files and folders: at most 2 are allowed");
    let large = open(&[Raw::new("a", "12345"), Raw::new("b", "678901")]).unwrap_err();
    insta::assert_snapshot!(large, @"`A.1.0.zip` holds 11 bytes unzipped: at most 10 are allowed");
    insta::assert_snapshot!(large.hint().unwrap(), @"leave out what the function does not need, or deploy it as a container image");
    let directory = open(&[Raw { comment: vec![b' '; 3000], ..Raw::new("a", "") }]).unwrap_err();
    insta::assert_snapshot!(directory, @"`A.1.0.zip` is not a sound zip: its directory is 3047 bytes long: at most 2048 are allowed");
    // Sizes that overflow when they are added up.
    let lie = open(&["a", "b"].map(|name| Raw { said_size: Some(u32::MAX - 1), ..Raw::new(name, "") }));
    assert!(matches!(lie, Err(PackageError::TooLarge { .. })), "{lie:?}");
}
