// Packs and pushes with octopackjs, unmodified, and prints what it was told as JSON.
// node octopackjs.mjs URL FOLDER; the key is in OCTOPUS_API_KEY, NODE_PATH says where the client is.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const octo = require("@octopusdeploy/octopackjs");

const [host, folder] = process.argv.slice(2);
const packed = (id, version, type) =>
  new Promise((resolve, reject) => {
    const pack = octo.pack(type, { id, version });
    pack.append("index.js", Buffer.from(`exports.version = "${version}";\n`));
    pack.toFile(folder, (error, file) => (error ? reject(error) : resolve(file)));
  });
const pushed = (file, options) =>
  new Promise((resolve) => {
    const all = { host, apikey: process.env.OCTOPUS_API_KEY, ...options };
    octo.push(file.path, all, (error, body) => {
      if (!error) resolve({ id: body.Id, bytes: body.PackageSizeBytes });
      else resolve({ refused: error.statusCode, body: error.body });
    });
  });

const tar = await packed("Orders", "1.0.0", "tar.gz");
const zip = await packed("Orders", "1.1.0", "zip");
const told = { sizes: [tar.size, zip.size] };
told.first = await pushed(tar, {});
told.again = await pushed(tar, {});
told.replaced = await pushed(tar, { replace: true });
told.inSpace = await pushed(zip, { spaceId: "Spaces-1" });
told.againInSpace = await pushed(zip, { spaceId: "Spaces-1" });
told.replacedInSpace = await pushed(zip, { spaceId: "Spaces-1", replace: true });
told.noSpace = await pushed(zip, { spaceId: "Spaces-9" });
told.wrongKey = await pushed(zip, { apikey: "API-WRONG" });
console.log(JSON.stringify(told));
