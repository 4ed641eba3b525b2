//! Properties of packages with any names and contents.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::support::packages::{Raw, contents, open, zip};

/// Names that are sometimes fine, sometimes clash and sometimes lead elsewhere.
fn name() -> impl Strategy<Value = String> {
    let part =
        prop::sample::select(vec!["a", "b", "src", "function", "é", "..", ".", "", "a%2f", "%2e%2e", "c:"]);
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = Raw> {
    let content = prop::collection::vec(any::<u8>(), 0..200);
    (name(), content, any::<bool>(), any::<bool>(), any::<(u16, u16)>()).prop_map(
        |(name, content, deflate, descriptor, time)| Raw {
            time,
            deflate,
            descriptor,
            ..Raw::new(name, content)
        },
    )
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        files in prop::collection::btree_map("[a-c]{1,2}/[d-f]{1,3}", prop::collection::vec(any::<u8>(), 0..200), 1..8),
        order in any::<prop::sample::Index>(),
        deflate: bool,
        descriptor: bool,
        time: (u16, u16),
    ) {
        let mut entries: Vec<Raw> = files
            .iter()
            .map(|(name, content)| Raw { time, deflate, descriptor, ..Raw::new(name, content) })
            .collect();
        let repack = |entries: &[Raw]| {
            let mut bytes = Vec::new();
            open("A.1.0.zip", &zip(entries)).unwrap().repack("", &mut bytes).unwrap();
            bytes
        };
        let bytes = repack(&entries);
        prop_assert_eq!(contents(&bytes), files.into_iter().collect::<BTreeMap<_, _>>());
        let middle = order.index(entries.len());
        entries.rotate_left(middle);
        prop_assert_eq!(&repack(&entries), &bytes);
        // What comes out is itself a package, and repacks to itself.
        let again = {
            let mut again = Vec::new();
            open("A.1.0.zip", &bytes).unwrap().repack("", &mut again).unwrap();
            again
        };
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn no_name_leads_out(entries in prop::collection::vec(entry(), 1..6), nuget: bool) {
        let mut entries = entries;
        let name = if nuget {
            entries.extend(crate::support::packages::nupkg(crate::support::packages::Producer::NuGet, "A", "1.0", &[]));
            "A.1.0.nupkg"
        } else {
            "A.1.0.zip"
        };
        if let Ok(package) = open(name, &zip(&entries)) {
            let mut bytes = Vec::new();
            if package.repack(package.function_folder("src/function"), &mut bytes).is_ok() {
                for name in contents(&bytes).keys() {
                    prop_assert!(!name.is_empty() && !name.contains(['\\', ':']), "{}", name);
                    prop_assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", name);
                }
            }
        }
    }

    #[test]
    fn damaged_packages_never_panic(
        entries in prop::collection::vec(entry(), 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = zip(&entries);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(package) = open("A.1.0.zip", &bytes) {
            let _ = package.repack("", std::io::sink());
        }
    }
}
