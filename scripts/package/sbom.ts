import { createHash } from "node:crypto";

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
}

/** The software bill of materials (CycloneDX 1.5, JSON): what runs, from package-lock.json, and the Node that runs it. */
export function sbom(lockFile: string, epoch: number): string {
  const lock = JSON.parse(lockFile) as { name: string; version: string; packages: Record<string, Locked> };
  const components = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && (dev !== true || path === "node_modules/node"))
    .map(([path, locked]) => component(path.slice(path.lastIndexOf("node_modules/") + 13), locked))
    .toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
  const digest = createHash("sha256").update(JSON.stringify(components)).digest("hex");
  const uuid = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-5$3-8$4-$5");
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        type: "application",
        name: lock.name,
        version: lock.version,
        licenses: [{ license: { id: "MIT" } }],
      },
    },
    components,
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function component(name: string, { version = "0", license, integrity }: Locked) {
  const hash = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
  return {
    type: "library",
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(hash !== undefined && {
      hashes: [{ alg: "SHA-512", content: Buffer.from(hash, "base64").toString("hex") }],
    }),
  };
}
