//! What must hold for any bytes: shared by the fuzz targets and by the test that replays their corpus.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::{Debug, Display},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Cursor, Read, Write},
    str::FromStr,
    sync::LazyLock,
};

use jiff::{Timestamp, tz::TimeZone};
use octarm::{
    conventions::Conventions,
    model::Variable,
    package::{Extension, FileName, Layout, Package, PackageError},
    template::{Variables, render},
    version::{NuGetVersion, OctopusVersion, SemanticVersion, VersionError},
};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Checks one input.
pub(crate) type Check = fn(&[u8]);

/// Every target by its name, which its corpus has too.
pub(crate) const TARGETS: [(&str, Check); 4] =
    [("archive", archive), ("nuspec", nuspec), ("templates", templates), ("versions", versions)];

/// The shipped layout, with limits that an input of a few kilobytes can reach.
static LAYOUT: LazyLock<Layout> = LazyLock::new(|| {
    let mut layout = Conventions::load(None).expect("the shipped conventions are sound").layout;
    layout.limits.entries = 1_000;
    layout.limits.unzipped_size = 1 << 18;
    layout
});

fn open(name: &str, bytes: &[u8]) -> Result<Package, PackageError> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("writing a temporary file");
    Package::open(file.path(), Some(name), &LAYOUT, &std::env::temp_dir())
}

/// A package is refused in plain words, or what is read of it is what another reader reads, and what is repacked is
/// exactly that.
fn archive(bytes: &[u8]) {
    for extension in Extension::ALL {
        let name = format!("Acme.1.0{extension}");
        match open(&name, bytes) {
            Ok(package) => repacked_is_what_was_packed(&package, extension, bytes),
            Err(error) => one_line(&error),
        }
    }
}

fn repacked_is_what_was_packed(package: &Package, extension: Extension, bytes: &[u8]) {
    let mut output = Vec::new();
    let repacked = match package.repack("", &mut output) {
        Ok(repacked) => repacked,
        Err(error) => return one_line(&error),
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &output);
    assert_eq!((repacked.size, &repacked.sha256[..]), (output.len() as u64, digest.as_ref()));

    let unpacked = unzip(&output);
    let names: Vec<&str> = unpacked.iter().map(|file| file.name.as_str()).collect();
    assert!(names.is_sorted_by(|one, other| one.as_bytes() < other.as_bytes()), "{names:?}");
    let listed: Vec<&str> = repacked.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, listed);
    let entries: BTreeSet<&str> = package.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, entries.iter().copied().collect::<Vec<_>>());
    for (file, entry) in unpacked.iter().zip(&repacked.entries) {
        stays_inside(&file.name);
        assert_eq!(file.content.len() as u64, entry.size, "{}", file.name);
        assert_eq!(crc32fast::hash(&file.content), entry.crc32, "{}", file.name);
        assert_eq!(file.mode, 0o100_000 | entry.mode, "{}", file.name);
        assert!(matches!(entry.mode, 0o644 | 0o755), "{}", file.name);
    }

    let mut packed = match extension {
        Extension::Nupkg => names_as_read(unzip(bytes), true),
        Extension::Zip | Extension::Jar => names_as_read(unzip(bytes), false),
        Extension::Tar => names_as_read(untar(bytes), false),
        Extension::TarGz | Extension::Tgz => {
            names_as_read(untar(flate2::read::MultiGzDecoder::new(bytes)), false)
        }
        Extension::TarBz2 => names_as_read(untar(bzip2::read::MultiBzDecoder::new(bytes)), false),
    };
    for dropped in package.dropped() {
        assert!(packed.remove(&dropped.name).is_some(), "{} was dropped from nowhere", dropped.name);
    }
    let read: BTreeMap<String, Vec<u8>> =
        unpacked.into_iter().map(|file| (file.name, file.content)).collect();
    assert_eq!(read, packed);

    let mut again = Vec::new();
    let package = open("Acme.1.0.zip", &output).expect("octarm reads what it writes");
    package.repack("", &mut again).expect("octarm repacks what it writes");
    assert!(output == again, "repacking the repacked makes another zip");
}

/// A file by another reader than the one under test.
struct Unpacked {
    name: String,
    mode: u32,
    content: Vec<u8>,
}

fn unzip(bytes: &[u8]) -> Vec<Unpacked> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        // Octopus's packer says that it deflated what is empty, and then writes nothing at all.
        let is_empty = archive.by_index_raw(index).expect("an entry").size() == 0;
        let mut file =
            if is_empty { archive.by_index_raw(index) } else { archive.by_index(index) }.expect("an entry");
        let name = String::from_utf8(file.name_raw().to_vec()).expect("a name in UTF-8");
        if name.ends_with(['/', '\\']) {
            continue;
        }
        let mode = file.unix_mode().unwrap_or(0);
        let mut content = Vec::new();
        if !is_empty {
            file.read_to_end(&mut content).expect("a content");
        }
        files.push(Unpacked { name, mode, content });
    }
    files
}

fn untar(from: impl Read) -> Vec<Unpacked> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(from).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("a name in UTF-8");
        if entry.header().entry_type().is_dir() || name.ends_with('/') {
            continue;
        }
        let mode = entry.header().mode().expect("a mode");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("a content");
        files.push(Unpacked { name, mode, content });
    }
    files
}

fn names_as_read(files: Vec<Unpacked>, decode: bool) -> BTreeMap<String, Vec<u8>> {
    let count = files.len();
    let read: BTreeMap<String, Vec<u8>> = files
        .into_iter()
        .map(|Unpacked { name, content, .. }| {
            let name = name.replace('\\', "/");
            let name = name.strip_prefix("./").unwrap_or(&name);
            let name = if decode {
                percent_encoding::percent_decode_str(name)
                    .decode_utf8()
                    .expect("a name in UTF-8")
                    .into_owned()
            } else {
                name.to_owned()
            };
            (name, content)
        })
        .collect();
    assert_eq!(read.len(), count, "two files have one name");
    read
}

fn stays_inside(name: &str) {
    let part_is_bad = |part: &str| matches!(part, "" | "." | "..") || part.len() > 255;
    let is_bad = name.split('/').any(part_is_bad) || name.contains(['\\', ':', '\0', '\n']);
    assert!(!is_bad, "{name:?} is no path below the root");
}

/// What is said of strange input is one line that a terminal shows as it is.
fn one_line(error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        assert!(!words.is_empty() && !words.contains(char::is_control), "{words:?}");
        next = error.source();
    }
}

/// A manifest names the same package whatever stands round it, and a package with only that in it.
fn nuspec(bytes: &[u8]) {
    let package = match open("download.nupkg", &with_manifest(bytes)) {
        Ok(package) => package,
        Err(error) => return one_line(&error),
    };
    let identity = package.identity();
    assert!(octarm::package::is_valid_id(&identity.id), "{:?}", identity.id);
    let names: Vec<&str> = package.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["index.js"]);

    let plain = format!(
        "<package><metadata><id>{}</id><version>{}</version></metadata></package>",
        identity.id, identity.version
    );
    let mut others = vec![plain.into_bytes()];
    if let Ok(text) = std::str::from_utf8(bytes) {
        others.push(format!("{text}\n<!-- the end -->\n").into_bytes());
        others.push(format!("\u{feff}{}", text.trim_start_matches('\u{feff}')).into_bytes());
    }
    for other in others {
        let package = open("download.nupkg", &with_manifest(&other))
            .unwrap_or_else(|error| panic!("{error:?}: {}", String::from_utf8_lossy(&other)));
        assert_eq!(package.identity().id, identity.id);
        assert_eq!(package.identity().version.as_str(), identity.version.as_str());
    }
}

fn with_manifest(manifest: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored);
    for (name, content) in [("Acme.nuspec", manifest), ("index.js", b"")] {
        writer.start_file(name, stored).expect("a new entry");
        writer.write_all(content).expect("writing to memory");
    }
    writer.finish().expect("writing to memory").into_inner()
}

/// The lines of the input are versions: up to three of them are compared with each other. Each is a file name, too.
fn versions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Vec<&str> = text.split('\n').take(3).collect();
    total_order::<NuGetVersion>(&lines);
    total_order::<SemanticVersion>(&lines);
    total_order::<OctopusVersion>(&lines);
    for line in lines {
        if let (Ok(nuget), Ok(semantic)) = (line.parse::<NuGetVersion>(), line.parse::<SemanticVersion>()) {
            assert_eq!(nuget.normalised(), semantic.normalised());
        }
        match line.parse::<FileName>() {
            Ok(name) => file_name(line, &name),
            Err(error) => one_line(&error),
        }
    }
}

fn file_name(text: &str, name: &FileName) {
    let shown = name.to_string();
    assert_eq!(shown.parse::<FileName>().as_ref(), Ok(name), "{text:?}");
    assert_eq!(FileName::new(name.id(), name.version(), name.extension()).as_ref(), Ok(name), "{text:?}");
}

/// What all kinds of versions can do.
pub(crate) trait Version: FromStr<Err = VersionError> + Display + Debug + Ord + Hash {
    fn normalised(&self) -> String;
    fn is_prerelease(&self) -> bool;
}

macro_rules! version {
    ($($kind:ty),*) => {$(
        impl Version for $kind {
            fn normalised(&self) -> String {
                self.normalised()
            }
            fn is_prerelease(&self) -> bool {
                self.is_prerelease()
            }
        }
    )*};
}
version!(NuGetVersion, SemanticVersion, OctopusVersion);

/// Shown as written, normalised once and for all, and in one order that agrees with `==` and with the hash.
pub(crate) fn total_order<V: Version>(texts: &[&str]) {
    let mut versions = Vec::new();
    for text in texts {
        match text.parse::<V>() {
            Ok(version) => versions.push(version),
            Err(error) => one_line(&error),
        }
    }
    for one in &versions {
        let again: V = one.to_string().parse().expect("what is shown is read");
        assert_eq!(again.to_string(), one.to_string());
        assert_eq!(&again, one);
        let normalised: V = one.normalised().parse().expect("what is normalised is read");
        assert_eq!(&normalised, one);
        assert_eq!(normalised.normalised(), one.normalised());
        assert_eq!(normalised.to_string(), one.normalised());
        assert_eq!(normalised.is_prerelease(), one.is_prerelease());
        assert_eq!(normalised.is_prerelease(), one.normalised().contains('-'));
    }
    for one in &versions {
        assert!(one.cmp(one).is_eq());
        for other in &versions {
            let order = one.cmp(other);
            assert_eq!(order, other.cmp(one).reverse());
            assert_eq!(one.partial_cmp(other), Some(order));
            assert_eq!(one == other, order.is_eq());
            assert_eq!(order.is_eq(), one.normalised().eq_ignore_ascii_case(&other.normalised()));
            if order.is_eq() {
                assert_eq!(hash(one), hash(other));
            }
            for third in &versions {
                if order.is_le() && other <= third {
                    assert!(one <= third, "{one:?} {other:?} {third:?}");
                    assert_eq!(one == third, one == other && other == third);
                }
            }
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A value that no message may show.
const SECRET: &str = "c0rrect-h0rse #{ battery";

/// `name=value` lines, an empty line, and the template. What is rendered is the same every time; a text without tokens
/// stays as it is; no message shows a secret.
fn templates(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else { return };
    let (lines, template) = input.split_once("\n\n").unwrap_or(("", input));
    let plain = lines.split('\n').filter_map(|line| line.split_once('='));
    let mut variables: Variables = plain.map(|(name, value)| Variable::plain(name, value)).collect();
    variables.set(Variable::sensitive("Secret", SECRET));

    let now = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let rendered = render(template, &variables, &now);
    assert_eq!(render(template, &variables, &now), rendered);
    let missing: BTreeSet<&String> = rendered.missing.iter().collect();
    assert_eq!(missing.len(), rendered.missing.len(), "{:?}", rendered.missing);
    if let Some(error) = &rendered.error {
        assert!(!error.is_empty());
        assert!(template.contains("c0rrect") || !error.contains("c0rrect"), "{error}");
    }
    if !template.contains("#{") {
        assert_eq!((rendered.value.as_deref(), &rendered.error), (Some(template), &None));
        assert!(missing.is_empty());
    }
    let is_clean = rendered.error.is_none() && missing.is_empty() && rendered.uncalculated.is_empty();
    let value = rendered.value.clone().filter(|_| is_clean);
    assert_eq!(rendered.clean().ok(), value);
}
