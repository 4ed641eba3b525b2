//! Sound packages with bytes changed, put in, left out and copied about: each is refused, or read as another reader
//! reads it.

use std::collections::BTreeMap;

use octarm::package::Package;
use proptest::prelude::*;

use crate::support::packages::{
    End, Producer, Raw, contents, descriptor, extra64, nupkg, open, zip, zip_with,
};

/// A change to the bytes of a package; places are parts of its length.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index, usize),
    /// Copies bytes from one place over those at another.
    Splice(prop::sample::Index, prop::sample::Index, usize),
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, value) => bytes[at.index(length)] = *value,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Insert(at, inserted) => {
                let at = at.index(length);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Delete(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Self::Splice(from, to, count) => {
                let (from, to) = (from.index(length), to.index(length));
                let copied = bytes[from..(from + count).min(length)].to_vec();
                let end = (to + copied.len()).min(length);
                bytes.splice(to..end, copied);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        (place(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), prop::collection::vec(any::<u8>(), 1..30))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1..60_usize).prop_map(|(at, count)| Change::Delete(at, count)),
        (place(), place(), 1..60_usize).prop_map(|(from, to, count)| Change::Splice(from, to, count)),
    ]
}

/// A package with every kind of record that the reader knows.
fn sound() -> Vec<u8> {
    let mut wide = Raw { descriptor: true, ..Raw::new("wide", "sizes of 64 bits") };
    wide.said_descriptor = Some(descriptor(true, true, wide.numbers()));
    let mut large = Raw::stored("large", "sizes in the extra field");
    let [_, compressed_size, size] = large.numbers().map(u64::from);
    large.extra = extra64(&[size, compressed_size]);
    (large.said_size, large.said_compressed_size) = (Some(u32::MAX), Some(u32::MAX));
    let entries = [
        Raw::stored("folder/", ""),
        Raw::new("folder/a", "content of a").mode(0o100_755),
        Raw { descriptor: true, ..Raw::stored("folder/caf\u{e9}", "content") },
        wide,
        large,
    ];
    let end = End { comment: b"a comment".to_vec(), ..End::of(&entries).wide(|_| {}) };
    zip_with(&entries, &end)
}

/// What another reader finds in a zip, under names as this one gives them. `None` where it refuses the zip.
fn by_another_reader(bytes: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut archive = ::zip::ZipArchive::new(std::io::Cursor::new(bytes)).ok()?;
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).ok()?;
        let name = String::from_utf8(file.name_raw().to_vec()).ok()?.replace('\\', "/");
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut content).ok()?;
        if !name.is_empty() && !name.ends_with('/') {
            found.insert(name, content);
        }
    }
    Some(found)
}

/// What this reader takes; `None` where it refuses, when the package is opened or when it is repacked.
fn taken(package: &Package) -> Option<BTreeMap<String, Vec<u8>>> {
    if package.entries().is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    package.repack("", &mut bytes).ok()?;
    Some(contents(&bytes))
}

#[test]
fn the_sound_package_is_taken() {
    let bytes = sound();
    let found = taken(&open("A.1.0.zip", &bytes).unwrap()).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["folder/a", "folder/caf\u{e9}", "large", "wide"]);
    assert_eq!(Some(found), by_another_reader(&bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_changed_package_is_refused_or_read_as_others_read_it(changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = sound();
        for change in &changes {
            change.make(&mut bytes);
        }
        if let Some(found) = open("A.1.0.zip", &bytes).ok().as_ref().and_then(taken)
            && let Some(other) = by_another_reader(&bytes)
        {
            prop_assert_eq!(found, other);
        }
    }

    #[test]
    fn a_changed_nuget_package_never_panics(changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = zip(&nupkg(Producer::Mono, "A", "1.0", &[("a%20b", "x")]));
        for change in &changes {
            change.make(&mut bytes);
        }
        if let Ok(package) = open("A.1.0.nupkg", &bytes) {
            let _ = taken(&package);
        }
    }

    #[test]
    fn any_bytes_before_an_end_record_never_panic(
        before in prop::collection::vec(any::<u8>(), 0..300),
        counts: (u16, u16),
        place: (u32, u32),
    ) {
        let mut end = End::of(&[]);
        (end.entries_here, end.entries) = counts;
        (end.size, end.start) = place;
        let bytes = [before, zip_with(&[], &end)].concat();
        prop_assert!(open("A.1.0.zip", &bytes).is_err() || counts.1 == 0);
    }
}
