// Packs a folder with Octopus's own packers: node pack.mjs nupkg|zip FOLDER ID VERSION OUTPUT PATTERN...
// Prints the package's file name. NODE_PATH says where the client is installed.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { NuGetPackageBuilder, ZipPackageBuilder } = require("@octopusdeploy/api-client");

const [format, basePath, packageId, version, outputFolder, ...inputFilePatterns] = process.argv.slice(2);
const logger = { warn: console.error, error: console.error };
const folder = { packageId, version, basePath, outputFolder, inputFilePatterns, logger };
const nuspecArgs = { description: "Made by the client's own packer", authors: ["octarm"] };
const name =
  format === "nupkg"
    ? await new NuGetPackageBuilder().pack({ ...folder, nuspecArgs })
    : await new ZipPackageBuilder().pack(folder);
console.log(name);
