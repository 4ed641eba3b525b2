//! Builds packages byte by byte, sound ones and ones that lie.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};

use octarm::package::{Layout, Package, PackageError};

/// The layout that octarm ships with.
pub(crate) fn layout() -> Layout {
    octarm::conventions::Conventions::load(None).unwrap().layout
}

/// One entry, and every field of its headers that may lie. The defaults are an honest file without a mode.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    /// The whole Unix mode; zero for a producer that knows none.
    pub(crate) mode: u32,
    /// DOS time and date.
    pub(crate) time: (u16, u16),
    pub(crate) deflate: bool,
    pub(crate) flags: u16,
    /// A record with checksum and sizes after the data, which the header before it leaves out.
    pub(crate) descriptor: bool,
    /// Bytes after the compressed data that the compressed size includes.
    pub(crate) after: Vec<u8>,
    pub(crate) said_crc: Option<u32>,
    pub(crate) said_size: Option<u32>,
    pub(crate) said_method: Option<u16>,
    /// Its directory entry points to the header of the entry with this index.
    pub(crate) said_header_of: Option<usize>,
}

impl Raw {
    pub(crate) fn new(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            content: content.as_ref().to_vec(),
            mode: 0,
            time: (0x7000, 0x5888),
            deflate: true,
            flags: if name.as_ref().is_ascii() { 0 } else { 1 << 11 },
            descriptor: false,
            after: Vec::new(),
            said_crc: None,
            said_size: None,
            said_method: None,
            said_header_of: None,
        }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// The fields that both headers have in common, and the data.
    fn parts(&self) -> (Vec<u8>, Vec<u8>, [u32; 3]) {
        let mut data = if self.deflate { deflate(&self.content) } else { self.content.clone() };
        data.extend(&self.after);
        let method = self.said_method.unwrap_or(if self.deflate { 8 } else { 0 });
        let flags = self.flags | if self.descriptor { 8 } else { 0 };
        let mut fields = Vec::new();
        for field in [20, flags, method, self.time.0, self.time.1] {
            fields.extend(field.to_le_bytes());
        }
        let crc = self.said_crc.unwrap_or_else(|| crc32fast::hash(&self.content));
        let size = self.said_size.unwrap_or(u32::try_from(self.content.len()).unwrap());
        (fields, data.clone(), [crc, u32::try_from(data.len()).unwrap(), size])
    }
}

pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A zip of `entries`, in their order.
pub(crate) fn zip(entries: &[Raw]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    for entry in entries {
        let (fields, data, numbers) = entry.parts();
        starts.push(u32::try_from(bytes.len()).unwrap());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        for number in numbers {
            bytes.extend(if entry.descriptor { 0 } else { number }.to_le_bytes());
        }
        bytes.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(&entry.name);
        bytes.extend(&data);
        if entry.descriptor {
            bytes.extend(b"PK\x07\x08");
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
    }
    let directory = bytes.len();
    for (index, entry) in entries.iter().enumerate() {
        let (fields, _, numbers) = entry.parts();
        let host = if entry.mode == 0 { 0 } else { 3 };
        bytes.extend(b"PK\x01\x02");
        bytes.extend([20, host]);
        bytes.extend(&fields);
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend((entry.mode << 16).to_le_bytes());
        bytes.extend(starts[entry.said_header_of.unwrap_or(index)].to_le_bytes());
        bytes.extend(&entry.name);
    }
    let length = u32::try_from(bytes.len() - directory).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(u32::try_from(directory).unwrap().to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A tar in gzip with these files.
pub(crate) fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Who made a NuGet package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    /// The NuGet client on Windows: no modes, percent-encoded names.
    NuGet,
    /// The NuGet client on Mono: UTF-8 names that do not say so, and a record after each entry.
    Mono,
    /// Octopus's packers: modes, folders, names with `\` in old versions.
    Octopus,
}

/// The entries of a NuGet package with `files` (names in the package's own spelling).
pub(crate) fn nupkg(producer: Producer, id: &str, version: &str, files: &[(&str, &str)]) -> Vec<Raw> {
    let nuspec = format!(
        "\u{feff}<?xml version=\"1.0\"?>\n<package xmlns=\"http://schemas.microsoft.com/packaging/2011/08/nuspec.xsd\">\
         <metadata><id>{id}</id><version>{version}</version><authors>a</authors><description>d</description>\
         </metadata></package>"
    );
    let mut entries = vec![
        Raw::new("_rels/.rels", "<Relationships/>"),
        Raw::new(format!("{id}.nuspec"), nuspec),
        Raw::new("[Content_Types].xml", "<Types/>"),
        Raw::new("package/services/metadata/core-properties/0af3.psmdcp", "<coreProperties/>"),
    ];
    entries.extend(files.iter().map(|(name, content)| Raw::new(name, content)));
    for entry in &mut entries {
        match producer {
            Producer::NuGet => {}
            Producer::Mono => {
                entry.flags = 0;
                entry.descriptor = true;
            }
            Producer::Octopus => {
                entry.mode = 0o100_644;
                entry.name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'\\');
            }
        }
    }
    if producer == Producer::Octopus {
        entries.insert(0, Raw { deflate: false, ..Raw::new("src\\", "") });
    }
    entries
}

/// Writes a package file.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs_err::write(&path, bytes).unwrap();
    path
}

/// Opens bytes as a package of that name.
pub(crate) fn open(name: &str, bytes: &[u8]) -> Result<Package, PackageError> {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "content", bytes);
    Package::open(&path, Some(name), &layout(), folder.path())
}

/// Name, mode and content of every file of a zip, in its order.
pub(crate) fn unpack(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), file.unix_mode().unwrap_or(0), content)
        })
        .collect()
}

/// The contents alone, by name.
pub(crate) fn contents(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    unpack(bytes).into_iter().map(|(name, _, content)| (name, content)).collect()
}
