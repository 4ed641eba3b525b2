// Answers what it was asked, and which version of itself was asked.
import { readFile } from "node:fs/promises";

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"));

export const handler = async (event) => ({ version, event });
