//! Versions and file names for any text at all.

use octarm::{
    package::FileName,
    version::{NuGetVersion, OctopusVersion, SemanticVersion},
};
use proptest::prelude::*;

/// Texts that are nearly versions or file names, which random characters hardly ever are.
fn nearly() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "v",
        "V",
        "0",
        "1",
        "01",
        "42",
        "2147483648",
        ".",
        ".",
        ".",
        "-",
        "+",
        "_",
        "\\",
        "a",
        "beta",
        "É",
        " ",
        "Acme",
        ".zip",
        ".nupkg",
        ".tar.gz",
    ]);
    prop_oneof![prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()), any::<String>()]
}

macro_rules! round_trips {
    ($name:ident, $kind:ty) => {
        proptest! {
            #[test]
            fn $name(one in nearly(), other in nearly()) {
                let one = one.parse::<$kind>();
                if let Ok(one) = &one {
                    prop_assert_eq!(&one.to_string().parse::<$kind>().unwrap(), one);
                    let normalised = one.normalised().parse::<$kind>().unwrap();
                    prop_assert_eq!(&normalised, one);
                    prop_assert_eq!(normalised.normalised(), one.normalised());
                }
                if let (Ok(one), Ok(other)) = (&one, &other.parse::<$kind>()) {
                    let same_text = one.normalised().eq_ignore_ascii_case(&other.normalised());
                    prop_assert_eq!(one == other, same_text);
                    prop_assert_eq!(one.cmp(other), other.cmp(one).reverse());
                }
            }
        }
    };
}

round_trips!(nuget_versions, NuGetVersion);
round_trips!(package_versions, SemanticVersion);
round_trips!(release_numbers, OctopusVersion);

proptest! {
    #[test]
    fn file_names(name in nearly()) {
        if let Ok(read) = name.parse::<FileName>() {
            prop_assert!(read.to_string().eq_ignore_ascii_case(&name));
            prop_assert_eq!(&read.to_string().parse::<FileName>().unwrap(), &read);
            prop_assert_eq!(FileName::new(read.id(), read.version(), read.extension()).unwrap(), read);
        }
    }
}
