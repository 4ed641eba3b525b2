//! File names for any text at all.

use octarm::package::FileName;
use proptest::prelude::*;

/// Texts that are nearly file names, which random characters hardly ever are.
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
