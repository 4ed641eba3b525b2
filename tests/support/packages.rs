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
    /// DOS attributes.
    pub(crate) attributes: u8,
    /// DOS time and date.
    pub(crate) time: (u16, u16),
    pub(crate) deflate: bool,
    pub(crate) flags: u16,
    /// A record with checksum and sizes after the data, which the header before it leaves out.
    pub(crate) descriptor: bool,
    /// Bytes after the compressed data that the compressed size includes.
    pub(crate) after: Vec<u8>,
    /// Extra fields of both headers.
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    /// The part of a split archive.
    pub(crate) disk: u16,
    /// What both headers say.
    pub(crate) said_crc: Option<u32>,
    pub(crate) said_size: Option<u32>,
    pub(crate) said_compressed_size: Option<u32>,
    pub(crate) said_method: Option<u16>,
    /// Its directory entry points to the header of the entry with this index.
    pub(crate) said_header_of: Option<usize>,
    pub(crate) said_header: Option<u32>,
    /// What the header before the data says, where it differs.
    pub(crate) local: Local,
    /// What stands after the data instead of an honest descriptor.
    pub(crate) said_descriptor: Option<Vec<u8>>,
}

/// What the header before the data says, where it differs from the directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) flags: Option<u16>,
    pub(crate) method: Option<u16>,
    pub(crate) crc: Option<u32>,
    pub(crate) compressed_size: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) extra: Option<Vec<u8>>,
}

impl Raw {
    pub(crate) fn new(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            content: content.as_ref().to_vec(),
            mode: 0,
            attributes: 0,
            time: (0x7000, 0x5888),
            deflate: true,
            flags: if name.as_ref().is_ascii() { 0 } else { 1 << 11 },
            descriptor: false,
            after: Vec::new(),
            extra: Vec::new(),
            comment: Vec::new(),
            disk: 0,
            said_crc: None,
            said_size: None,
            said_compressed_size: None,
            said_method: None,
            said_header_of: None,
            said_header: None,
            local: Local::default(),
            said_descriptor: None,
        }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Without compression.
    pub(crate) fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self { deflate: false, ..Self::new(name, content) }
    }

    fn data(&self) -> Vec<u8> {
        let mut data = if self.deflate { deflate(&self.content) } else { self.content.clone() };
        data.extend(&self.after);
        data
    }

    /// Checksum, compressed size and size, as the directory says.
    pub(crate) fn numbers(&self) -> [u32; 3] {
        [
            self.said_crc.unwrap_or_else(|| crc32fast::hash(&self.content)),
            self.said_compressed_size.unwrap_or_else(|| u32::try_from(self.data().len()).unwrap()),
            self.said_size.unwrap_or(u32::try_from(self.content.len()).unwrap()),
        ]
    }

    /// The fields that both headers have in common, up to the length of the extra fields.
    fn common(&self, numbers: [u32; 3], local: &Local) -> Vec<u8> {
        let method = self.said_method.unwrap_or(if self.deflate { 8 } else { 0 });
        let flags = self.flags | if self.descriptor { 8 } else { 0 };
        let mut fields = Vec::new();
        for field in
            [20, local.flags.unwrap_or(flags), local.method.unwrap_or(method), self.time.0, self.time.1]
        {
            fields.extend(field.to_le_bytes());
        }
        let [crc, compressed_size, size] = numbers;
        for field in [
            local.crc.unwrap_or(crc),
            local.compressed_size.unwrap_or(compressed_size),
            local.size.unwrap_or(size),
        ] {
            fields.extend(field.to_le_bytes());
        }
        for bytes in [local.name.as_ref().unwrap_or(&self.name), local.extra.as_ref().unwrap_or(&self.extra)]
        {
            fields.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        }
        fields
    }

    /// Header, data and descriptor.
    fn local_part(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        let numbers = if self.descriptor { [0; 3] } else { self.numbers() };
        bytes.extend(self.common(numbers, &self.local));
        bytes.extend(self.local.name.as_ref().unwrap_or(&self.name));
        bytes.extend(self.local.extra.as_ref().unwrap_or(&self.extra));
        bytes.extend(self.data());
        match &self.said_descriptor {
            Some(descriptor) => bytes.extend(descriptor),
            None if self.descriptor => bytes.extend(descriptor(true, false, self.numbers())),
            None => {}
        }
        bytes
    }

    /// Its record in the directory.
    fn record(&self, start: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend([20, if self.mode == 0 { 0 } else { 3 }]);
        bytes.extend(self.common(self.numbers(), &Local::default()));
        bytes.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        bytes.extend(self.disk.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend((self.mode << 16 | u32::from(self.attributes)).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        for part in [&self.name, &self.extra, &self.comment] {
            bytes.extend(part);
        }
        bytes
    }
}

pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The record after an entry's data: checksum, compressed size, size.
pub(crate) fn descriptor(signature: bool, wide: bool, numbers: [u32; 3]) -> Vec<u8> {
    let mut bytes = if signature { b"PK\x07\x08".to_vec() } else { Vec::new() };
    bytes.extend(numbers[0].to_le_bytes());
    for number in &numbers[1..] {
        bytes.extend(number.to_le_bytes());
        if wide {
            bytes.extend([0; 4]);
        }
    }
    bytes
}

/// An extra field.
pub(crate) fn extra(id: u16, field: &[u8]) -> Vec<u8> {
    let length = u16::try_from(field.len()).unwrap();
    [&id.to_le_bytes()[..], &length.to_le_bytes(), field].concat()
}

/// An extra field of 64-bit numbers.
pub(crate) fn extra64(numbers: &[u64]) -> Vec<u8> {
    let field: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    extra(1, &field)
}

/// The end of a zip, and every number of it that may lie.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// This disk, the directory's disk.
    pub(crate) disks: [u16; 2],
    pub(crate) entries_here: u16,
    pub(crate) entries: u16,
    pub(crate) size: u32,
    pub(crate) start: u32,
    pub(crate) comment: Vec<u8>,
    /// Before the record: 64-bit records, or what should not be there.
    pub(crate) before: Vec<u8>,
}

impl End {
    /// The honest end of `entries`.
    pub(crate) fn of(entries: &[Raw]) -> Self {
        let (start, directory) = body(entries);
        let entries = u16::try_from(entries.len()).unwrap();
        Self {
            disks: [0, 0],
            entries_here: entries,
            entries,
            size: u32::try_from(directory.len()).unwrap(),
            start: u32::try_from(start.len()).unwrap(),
            comment: Vec::new(),
            before: Vec::new(),
        }
    }

    /// With the 64-bit records before it; `lie` changes their numbers.
    pub(crate) fn wide(mut self, lie: impl FnOnce(&mut WideEnd)) -> Self {
        let mut wide = WideEnd {
            length: 44,
            disks: [0, 0],
            entries_here: self.entries_here.into(),
            entries: self.entries.into(),
            size: self.size.into(),
            start: self.start.into(),
            locator: (0, u64::from(self.start) + u64::from(self.size), 1),
            between: Vec::new(),
        };
        lie(&mut wide);
        self.before = wide.bytes();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.before.clone();
        bytes.extend(b"PK\x05\x06");
        for field in [self.disks[0], self.disks[1], self.entries_here, self.entries] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.start.to_le_bytes());
        bytes.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        bytes.extend(&self.comment);
        bytes
    }
}

/// The 64-bit end record and its locator.
#[derive(Debug, Clone)]
pub(crate) struct WideEnd {
    pub(crate) length: u64,
    pub(crate) disks: [u32; 2],
    pub(crate) entries_here: u64,
    pub(crate) entries: u64,
    pub(crate) size: u64,
    pub(crate) start: u64,
    /// Disk, place of the record, number of disks.
    pub(crate) locator: (u32, u64, u32),
    /// Between record and locator.
    pub(crate) between: Vec<u8>,
}

impl WideEnd {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"PK\x06\x06".to_vec();
        bytes.extend(self.length.to_le_bytes());
        bytes.extend([45, 0, 45, 0]);
        bytes.extend(self.disks.iter().flat_map(|disk| disk.to_le_bytes()));
        for field in [self.entries_here, self.entries, self.size, self.start] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(&self.between);
        bytes.extend(b"PK\x06\x07");
        bytes.extend(self.locator.0.to_le_bytes());
        bytes.extend(self.locator.1.to_le_bytes());
        bytes.extend(self.locator.2.to_le_bytes());
        bytes
    }
}

/// Everything before the directory, and the directory.
fn body(entries: &[Raw]) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    for entry in entries {
        starts.push(u32::try_from(bytes.len()).unwrap());
        bytes.extend(entry.local_part());
    }
    let record = |(index, entry): (usize, &Raw)| {
        entry.record(entry.said_header.unwrap_or(starts[entry.said_header_of.unwrap_or(index)]))
    };
    let directory = entries.iter().enumerate().flat_map(record).collect();
    (bytes, directory)
}

/// A zip of `entries`, in their order.
pub(crate) fn zip(entries: &[Raw]) -> Vec<u8> {
    zip_with(entries, &End::of(entries))
}

/// A zip of `entries` that ends as told.
pub(crate) fn zip_with(entries: &[Raw], end: &End) -> Vec<u8> {
    let (bytes, directory) = body(entries);
    [bytes, directory, end.bytes()].concat()
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
    /// Octopus's packers: a manifest and no other parts, modes, folders, names with `\` in old versions.
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
        entries.retain(|entry| {
            !entry.name.starts_with(b"_rels")
                && !entry.name.starts_with(b"[")
                && !entry.name.starts_with(b"package\\")
        });
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
