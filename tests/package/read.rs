//! Reading: identity, what is payload, what is dropped, and the habits of real producers.

use octarm::package::{Dialect, Package};

use crate::support::packages::{self, Producer, Raw, layout, nupkg, open, zip};

fn names(package: &Package) -> Vec<&str> {
    package.entries().iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn every_producer_of_nuget_packages_is_read_the_same() {
    let files = [("src/function/index.js", "a"), ("src/function/caf\u{e9}.txt", "b"), ("a%20b.txt", "c")];
    let mut seen = Vec::new();
    for producer in [Producer::NuGet, Producer::Mono, Producer::Octopus] {
        let package =
            open("acme.web.1.2.0.nupkg", &zip(&nupkg(producer, "Acme.Web", "1.2", &files))).unwrap();
        assert_eq!(package.identity().id, "Acme.Web");
        assert_eq!(package.identity().version.to_string(), "1.2");
        assert_eq!(names(&package), ["src/function/index.js", "src/function/caf\u{e9}.txt", "a b.txt"]);
        seen.push(format!("{:?}: {}", package.dialect(), package.dialect()));
        seen.extend(package.dropped().iter().map(|dropped| format!("{}: {}", dropped.name, dropped.reason)));
    }
    insta::assert_snapshot!(seen.join("\n"), @"
    NuGet: NuGet package
    _rels/.rels: NuGet's list of relations between the parts of the package
    Acme.Web.nuspec: the NuGet manifest, read for id and version
    [Content_Types].xml: NuGet's list of content types
    package/services/metadata/core-properties/0af3.psmdcp: NuGet's metadata of the package
    Mono: NuGet package written on Mono
    _rels/.rels: NuGet's list of relations between the parts of the package
    Acme.Web.nuspec: the NuGet manifest, read for id and version
    [Content_Types].xml: NuGet's list of content types
    package/services/metadata/core-properties/0af3.psmdcp: NuGet's metadata of the package
    Octopus: NuGet package without OPC parts, as Octopus packs it
    Acme.Web.nuspec: the NuGet manifest, read for id and version
    ");
}

#[test]
fn only_nuget_parts_of_nuget_packages_are_dropped() {
    let kept = ["package/app.py", "lib/Other.nuspec", "src/_rels/a", "src/.signature.p7s", "_._"];
    let mut entries = nupkg(Producer::NuGet, "A", "1.0", &kept.map(|name| (name, "")));
    entries.push(Raw { deflate: false, ..Raw::new(".signature.p7s", "signed") });
    let package = open("A.1.0.nupkg", &zip(&entries)).unwrap();
    assert_eq!(names(&package), kept);
    assert_eq!(package.dropped().len(), 5);
}

#[test]
fn a_zip_is_all_payload_and_its_names_are_not_decoded() {
    let all = ["[Content_Types].xml", "_rels/.rels", "A.nuspec", "package/services/metadata/x", "my%20file"];
    let package = open("Acme.Web.1.2.3-beta.zip", &zip(&all.map(|name| Raw::new(name, "x")))).unwrap();
    assert_eq!(package.dialect(), Dialect::Zip);
    assert_eq!(package.dialect().to_string(), "zip");
    assert_eq!(package.identity().id, "Acme.Web");
    assert_eq!(package.identity().version.to_string(), "1.2.3-beta");
    assert_eq!(names(&package), all);
    assert!(package.dropped().is_empty());
}

#[test]
fn the_file_keeps_its_own_name_or_is_told_it() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zip(&[Raw::new("a", "x").mode(0o100_755)]);
    let named = packages::write(folder.path(), "Acme.1.0.zip", &bytes);
    assert_eq!(Package::open(&named, None, &layout(), folder.path()).unwrap().identity().id, "Acme");
    let unnamed = packages::write(folder.path(), "9f86d081", &bytes);
    let told = Package::open(&unnamed, Some("Other.2.0.zip"), &layout(), folder.path()).unwrap();
    assert_eq!(told.identity().id, "Other");
    let entry = &told.entries()[0];
    assert_eq!((entry.size, entry.unix_mode, entry.crc32), (1, Some(0o100_755), crc32fast::hash(b"x")));
    insta::assert_snapshot!(Package::open(&unnamed, None, &layout(), folder.path()).unwrap_err(), @"the file name `9f86d081` does not end in a known package extension (.tar.gz .tar.bz2 .nupkg .zip .tar .tgz .jar)");
}

#[test]
fn the_function_folder_is_the_wanted_one_or_the_root() {
    let with = open("A.1.0.zip", &zip(&[Raw::new("src/function/a", ""), Raw::new("b", "")])).unwrap();
    assert_eq!(with.function_folder("src/function"), "src/function");
    assert_eq!(with.function_folder("src/function/"), "src/function");
    assert_eq!(with.function_folder("src/func"), "");
    let empty = Raw { deflate: false, ..Raw::new("src/function/", "") };
    let without = open("A.1.0.zip", &zip(&[empty, Raw::new("src/functions", "")])).unwrap();
    assert_eq!(without.function_folder("src/function"), "");
}

#[test]
fn folders_with_the_mode_of_a_file_are_folders() {
    let folder = Raw { deflate: false, ..Raw::new("a/", "").mode(0o100_644) };
    let root = Raw { deflate: false, ..Raw::new("./", "").mode(0o040_755) };
    let package = open("A.1.0.zip", &zip(&[root, folder, Raw::new("./a/b", "")])).unwrap();
    assert_eq!(names(&package), ["a/b"]);
}

#[test]
fn a_manifest_with_a_number_in_its_id_agrees_with_its_file_name() {
    let bytes = zip(&nupkg(Producer::NuGet, "Acme.2", "1.0.0", &[("a", "")]));
    assert_eq!(open("Acme.2.1.0.0.nupkg", &bytes).unwrap().identity().id, "Acme.2");
    assert_eq!(open("download.nupkg", &bytes).unwrap().identity().id, "Acme.2");
}

#[test]
fn identities_that_cannot_be_told_are_refused() {
    let manifest = |id, version| zip(&nupkg(Producer::NuGet, id, version, &[("a", "")]));
    let mut two = nupkg(Producer::NuGet, "Acme", "1.0", &[]);
    two.push(Raw::new("Other.nuspec", ""));
    let mut large = nupkg(Producer::NuGet, "Acme", "1.0", &[]);
    large[1].content.resize(2_000_000, b' ');
    let refusals = [
        ("Acme.1.0.nupkg", manifest("Acme", "1.0.1")),
        ("Acme.1.0.nupkg", manifest("Acme.Web", "1.0")),
        ("Acme.1.0.nupkg", manifest("Acme", "one")),
        ("Acme.1.0.nupkg", zip(&[Raw::new("a", "")])),
        ("Acme.1.0.nupkg", zip(&two)),
        ("Acme.1.0.nupkg", zip(&large)),
        ("Acme.zip", zip(&[Raw::new("a", "")])),
        ("Acme.1.0.tar.gz", Vec::new()),
        ("Acme.1.0.zip", b"not a zip".to_vec()),
    ]
    .map(|(name, bytes)| open(name, &bytes).unwrap_err().to_string())
    .join("\n");
    insta::assert_snapshot!(refusals, @"
    the file name `Acme.1.0.nupkg` says Acme 1.0, but the NuGet manifest in it says Acme 1.0.1
    the file name `Acme.1.0.nupkg` says Acme 1.0, but the NuGet manifest in it says Acme.Web 1.0
    reading the version in the NuGet manifest of `Acme.1.0.nupkg`
    reading the NuGet manifest of `Acme.1.0.nupkg`: no `.nuspec` lies at its root
    reading the NuGet manifest of `Acme.1.0.nupkg`: both `Acme.nuspec` and `Other.nuspec` lie at its root
    reading the NuGet manifest of `Acme.1.0.nupkg`: it is 2000000 bytes long: at most 1048576 are allowed
    the file name `Acme.zip` is not of the form `Id.Version.zip`
    `Acme.1.0.tar.gz` is not a sound tar: it holds uncompressed data where its name promises gzip data
    reading the zip directory of `Acme.1.0.zip`: no end record was found, so it is no zip or not all of one
    ");
}

/// Peak memory is counted where nothing else runs: by a process of its own, which is this test binary.
#[test]
fn as_many_files_as_may_be_are_opened_in_little_memory() {
    // Set by this test for the process that it starts.
    if let Some(path) = std::env::var_os("OCTARM_TEST_PACKAGE") {
        let layout = layout();
        // The code itself is read in by a package of one file.
        open("A.1.0.zip", &zip(&[Raw::new("a", "")])).unwrap();
        let before = peak();
        let package =
            Package::open(path.as_ref(), Some("A.1.0.zip"), &layout, &std::env::temp_dir()).unwrap();
        assert_eq!(package.entries().len(), FILES);
        println!("peak {}", peak() - before);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<Raw> =
        (0..FILES).map(|number| Raw::stored(format!("node_modules/package/{number:05}.js"), "x")).collect();
    let path = packages::write(folder.path(), "content", &zip(&entries));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "package::read::as_many_files_as_may_be_are_opened_in_little_memory",
            "--nocapture",
        ])
        .env("OCTARM_TEST_PACKAGE", &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let bytes = text.lines().find_map(|line| line.split("peak ").nth(1)?.parse::<usize>().ok());
    let bytes = bytes.unwrap_or_else(|| panic!("no peak in {text}"));
    let names = entries.iter().map(|entry| entry.name.len()).sum::<usize>();
    let each = bytes.saturating_sub(names) / FILES;
    assert!((1..=250).contains(&each), "{each} bytes an entry");
}

/// As many as the limits allow.
const FILES: usize = 65_534;

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn habits_of_producers_are_read() {
    let empty = |name| Raw { said_method: Some(8), ..Raw::stored(name, "") };
    let entries = [
        // adm-zip and Octopus: deflated, without data; Java: with the deflate stream of nothing.
        empty("src/"),
        empty("src/empty"),
        Raw::new("META-INF/", ""),
        // Java's jar.
        Raw {
            extra: packages::extra(0xcafe, b""),
            descriptor: true,
            ..Raw::new("META-INF/MANIFEST.MF", "x")
        },
        // Android's alignment.
        Raw { extra: vec![0; 3], ..Raw::stored("aligned", "x") },
        Raw { comment: b"a comment".to_vec(), ..Raw::new("./commented", "x") },
        // UTF-8 that does not say so, and backslashes.
        Raw { flags: 0, ..Raw::new("old\\windows\\caf\u{e9}", "x") },
    ];
    let end = packages::End { comment: b"made by hand".to_vec(), ..packages::End::of(&entries) };
    let package = open("A.1.0.zip", &packages::zip_with(&entries, &end)).unwrap();
    assert_eq!(
        names(&package),
        ["src/empty", "META-INF/MANIFEST.MF", "aligned", "commented", "old/windows/caf\u{e9}"]
    );
    package.repack("", std::io::sink()).unwrap();
}

#[test]
fn who_made_a_nuget_package() {
    let dialect = |producer, files: &[(&str, &str)]| {
        open("A.1.0.nupkg", &zip(&nupkg(producer, "A", "1.0", files))).unwrap().dialect()
    };
    let (ascii, other) = ([("a", "")], [("\u{e9}", "")]);
    assert_eq!(dialect(Producer::NuGet, &ascii), Dialect::NuGet);
    assert_eq!(dialect(Producer::NuGet, &other), Dialect::NuGet);
    assert_eq!(dialect(Producer::Mono, &other), Dialect::Mono);
    // Where all names are ASCII nothing tells them apart.
    assert_eq!(dialect(Producer::Mono, &ascii), Dialect::NuGet);
    assert_eq!(dialect(Producer::Octopus, &ascii), Dialect::Octopus);
    assert_eq!(dialect(Producer::Octopus, &other), Dialect::Octopus);
}
