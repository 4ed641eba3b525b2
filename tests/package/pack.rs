//! Packing a folder, and reading back what was packed.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use octarm::package::{Format, Package, PackageError, Packed, pack};
use tempfile::TempDir;

use crate::support::packages::{contents, layout, unpack};

/// A folder with these files; names that end in `bootstrap` are executable.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, format!("content of {file}")).unwrap();
        let mode = if file.ends_with("bootstrap") { 0o755 } else { 0o644 };
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

fn pack_as(format: Format, folder: &Path, to: &Path) -> Result<Packed, PackageError> {
    pack(folder, "Acme.Web", &"1.2.0-beta+x".parse().unwrap(), format, to, &layout())
}

const FILES: [&str; 5] = [
    "src/function/bootstrap",
    "src/function/a b+c%20#.txt",
    "src/function/caf\u{e9}.js",
    "README",
    "a&b.<x>",
];

#[test]
fn what_was_packed_is_read_back() {
    let source = folder(&FILES);
    let to = tempfile::tempdir().unwrap();
    for (format, name) in
        [(Format::Nupkg, "Acme.Web.1.2.0-beta+x.nupkg"), (Format::Zip, "Acme.Web.1.2.0-beta+x.zip")]
    {
        let packed = pack_as(format, source.path(), to.path()).unwrap();
        assert_eq!(packed.path, to.path().join(name));
        assert_eq!(packed.entries, FILES.len());
        let bytes = fs_err::read(&packed.path).unwrap();
        assert_eq!(packed.size, bytes.len() as u64);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        assert_eq!(packed.sha256, digest.as_ref());

        let package = Package::open(&packed.path, None, &layout(), to.path()).unwrap();
        assert_eq!(package.identity().id, "Acme.Web");
        assert_eq!(package.identity().version.to_string(), "1.2.0-beta+x");
        let mut names: Vec<_> = package.entries().iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        let mut expected = FILES;
        expected.sort_unstable();
        assert_eq!(names, expected);

        let mut function = Vec::new();
        package.repack(package.function_folder("src/function"), &mut function).unwrap();
        let function = unpack(&function);
        assert_eq!(function.len(), 3);
        for (name, mode, content) in function {
            assert_eq!(content, format!("content of src/function/{name}").into_bytes());
            assert_eq!(mode & 0o777, if name == "bootstrap" { 0o755 } else { 0o644 });
        }
    }
}

#[test]
fn names_are_encoded_only_in_a_nupkg_and_modes_are_kept() {
    let source = folder(&FILES);
    let to = tempfile::tempdir().unwrap();
    let names = |format| {
        let packed = pack_as(format, source.path(), to.path()).unwrap();
        unpack(&fs_err::read(packed.path).unwrap())
            .into_iter()
            .map(|(name, mode, _)| format!("{mode:o} {name}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(names(Format::Nupkg), @"
    100644 [Content_Types].xml
    100644 _rels/.rels
    100644 Acme.Web.nuspec
    100644 package/services/metadata/core-properties/1.psmdcp
    100644 README
    100644 a%26b.%3Cx%3E
    100644 src/function/a%20b%2Bc%2520%23.txt
    100755 src/function/bootstrap
    100644 src/function/café.js
    ");
    insta::assert_snapshot!(names(Format::Zip), @"
    100644 README
    100644 a&b.<x>
    100644 src/function/a b+c%20#.txt
    100755 src/function/bootstrap
    100644 src/function/café.js
    ");
}

#[test]
fn the_parts_of_a_nupkg() {
    let source = folder(&["src/function/bootstrap", "a.js"]);
    let to = tempfile::tempdir().unwrap();
    let packed = pack_as(Format::Nupkg, source.path(), to.path()).unwrap();
    let parts = contents(&fs_err::read(packed.path).unwrap());
    let text = |name: &str| String::from_utf8(parts[name].clone()).unwrap();
    insta::assert_snapshot!(text("Acme.Web.nuspec"), @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
      <metadata>
        <id>Acme.Web</id>
        <version>1.2.0-beta+x</version>
        <authors>octarm</authors>
        <description>Acme.Web</description>
      </metadata>
    </package>
    "#);
    insta::assert_snapshot!(text("_rels/.rels"), @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
      <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/Acme.Web.nuspec" Id="R1" />
      <Relationship Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="/package/services/metadata/core-properties/1.psmdcp" Id="R2" />
    </Relationships>
    "#);
    insta::assert_snapshot!(text("[Content_Types].xml"), @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
      <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
      <Default Extension="psmdcp" ContentType="application/vnd.openxmlformats-package.core-properties+xml" />
      <Default Extension="nuspec" ContentType="application/octet" />
      <Default Extension="js" ContentType="application/octet" />
      <Override PartName="/src/function/bootstrap" ContentType="application/octet" />
    </Types>
    "#);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let (one, other) = (folder(&FILES), folder(&FILES));
    let to = tempfile::tempdir().unwrap();
    for format in [Format::Nupkg, Format::Zip] {
        let first = pack_as(format, one.path(), to.path()).unwrap();
        let second = pack_as(format, other.path(), to.path()).unwrap();
        assert_eq!(first, second);
    }
}

#[test]
fn its_own_output_is_left_out() {
    let source = folder(&["a", "dist/Other.1.0.zip"]);
    let dist = source.path().join("dist");
    let first = pack_as(Format::Zip, source.path(), &dist).unwrap();
    fs_err::write(dist.join("acme.web.0.9.nupkg"), "an earlier package").unwrap();
    let second = pack_as(Format::Zip, source.path(), &dist).unwrap();
    assert_eq!(first.sha256, second.sha256);
    assert!(first.left_out.is_empty());
    let left_out: Vec<_> = second.left_out.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(left_out, ["Acme.Web.1.2.0-beta+x.zip", "acme.web.0.9.nupkg"]);
    let names: Vec<_> = contents(&fs_err::read(&second.path).unwrap()).into_keys().collect();
    assert_eq!(names, ["a", "dist/Other.1.0.zip"]);
    let lying: Vec<_> = fs_err::read_dir(&dist).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(lying.len(), 3, "an unfinished package was left behind: {lying:?}");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let to = tempfile::tempdir().unwrap();
    let refusal = |source: &TempDir, format| {
        let error = pack_as(format, source.path(), to.path()).unwrap_err().to_string();
        let real = fs_err::canonicalize(source.path()).unwrap();
        error.replace(real.to_str().unwrap(), "[folder]").replace(source.path().to_str().unwrap(), "[folder]")
    };
    let linked = folder(&["a"]);
    symlink("a", linked.path().join("b")).unwrap();
    let reserved = folder(&["a", "_rels/x"]);
    let refusals = [
        refusal(&linked, Format::Zip),
        refusal(&folder(&["a:b"]), Format::Zip),
        refusal(&folder(&["a\\b"]), Format::Nupkg),
        refusal(&reserved, Format::Nupkg),
        refusal(&folder(&[]), Format::Zip),
    ]
    .join("\n");
    insta::assert_snapshot!(refusals, @r"
    packing `[folder]/b`: it is a symbolic link: only files and folders are taken
    packing `[folder]/a:b`: its name holds the character ':'
    packing `[folder]/a\b`: its name holds the character '\\'
    packing `[folder]/_rels/x`: a .nupkg keeps that name for itself (NuGet's list of relations between the parts of the package)
    no file lies under `[folder]` of `Acme.Web.1.2.0-beta+x.zip`: it holds no files
    ");
    assert!(pack_as(Format::Zip, reserved.path(), to.path()).is_ok());
    let ambiguous = pack(linked.path(), "Acme.1", &"2.0".parse().unwrap(), Format::Zip, to.path(), &layout())
        .unwrap_err();
    assert!(matches!(ambiguous, PackageError::FileName(_)), "{ambiguous:?}");
}

#[test]
fn what_is_refused_leaves_no_package_behind() {
    let to = tempfile::tempdir().unwrap();
    let source = folder(&["a"]);
    let mut layout = layout();
    layout.limits.unzipped_size = 3;
    let version = "1.0".parse().unwrap();
    let error = pack(source.path(), "A", &version, Format::Zip, to.path(), &layout).unwrap_err();
    assert!(matches!(error, PackageError::TooLarge { .. }), "{error:?}");
    assert_eq!(fs_err::read_dir(to.path()).unwrap().count(), 0);
}
