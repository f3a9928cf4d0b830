import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { makeWebServer } from "../../../server/web-server.ts";

/** What `tockd web --listen` does, with the page of these tests: `web-server.ts FOLDER PORT [KEY CERTIFICATE]`. */
const [folder = "", port = "0", key, certificate] = process.argv.slice(2);
const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
const tls =
  key === undefined || certificate === undefined
    ? undefined
    : { key: readFileSync(key), cert: readFileSync(certificate) };
makeWebServer(files, tls).listen(Number(port), "::", () => console.log("listening"));
