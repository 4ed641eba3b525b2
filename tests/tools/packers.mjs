// Packs FOLDER with a packer of npm: node packers.mjs PACKER FOLDER OUTPUT. NODE_PATH says where they are installed.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";

const [packer, folder, output] = process.argv.slice(2);
const require = createRequire(import.meta.url);

// Every file and folder: its name in the zip, its path, its mode.
const items = fs.readdirSync(folder, { recursive: true }).sort().map((name) => {
  const file = path.join(folder, name);
  const status = fs.statSync(file);
  return { name, file, mode: status.mode, isFolder: status.isDirectory() };
});

const save = (stream) => pipeline(stream, fs.createWriteStream(output));

async function yazl(add, endOptions) {
  const { ZipFile } = require("yazl");
  const zip = new ZipFile();
  for (const item of items) {
    if (item.isFolder) zip.addEmptyDirectory(item.name, { mode: item.mode });
    else add(zip, item);
  }
  zip.end(endOptions);
  await save(zip.outputStream);
}

function jszip() {
  const JSZip = require("jszip");
  const zip = new JSZip();
  for (const { name, file, mode, isFolder } of items) {
    if (isFolder) zip.file(`${name}/`, null, { dir: true, unixPermissions: mode });
    else zip.file(name, fs.readFileSync(file), { unixPermissions: mode });
  }
  return zip;
}

async function archiver(kind, options) {
  const kinds = await import(pathToFileURL(require.resolve("archiver")));
  const archive = new kinds[kind](options);
  archive.directory(folder, false);
  archive.finalize();
  await save(archive);
}

const unix = { platform: "UNIX", compression: "DEFLATE" };
const packers = {
  yazl: () => yazl((zip, { file, name, mode }) => zip.addFile(file, name, { mode })),
  "yazl-streamed": () =>
    yazl((zip, { file, name, mode }) => zip.addReadStream(fs.createReadStream(file), name, { mode })),
  "yazl-zip64": () =>
    yazl((zip, { file, name, mode }) => zip.addFile(file, name, { mode, forceZip64Format: true }), {
      forceZip64Format: true,
    }),
  "adm-zip": () => {
    const AdmZip = require("adm-zip");
    const zip = new AdmZip();
    zip.addLocalFolder(folder);
    zip.writeZip(output);
  },
  jszip: () => save(jszip().generateNodeStream(unix)),
  "jszip-streamed": () => save(jszip().generateNodeStream({ ...unix, streamFiles: true })),
  // What it does when it is told nothing: no modes, no compression.
  "jszip-dos": () => save(jszip().generateNodeStream()),
  archiver: () => archiver("ZipArchive"),
  "archiver-tar": () => archiver("TarArchive"),
  "archiver-tar-gz": () => archiver("TarArchive", { gzip: true }),
};

await packers[packer]();
