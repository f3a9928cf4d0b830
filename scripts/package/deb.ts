import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, cp, lutimes, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { configTemplate } from "../../server/config/template.ts";

export interface DebOptions {
  readonly root: string;
  readonly version: string;
  /** Every file's date, in unix seconds. */
  readonly epoch: number;
}

/** Where the programs live, with a Node of their own: Debian's is too old. */
const HOME = "usr/lib/tock";

/**
 * Builds dist/tock_VERSION_ARCH.deb for this machine's architecture and gives its name. Needs dpkg-deb, and dist/ as
 * build.ts makes it.
 */
export async function buildDeb({ root, version, epoch }: DebOptions): Promise<string> {
  const tree = join(root, "build/deb");
  const architecture = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
  await rm(tree, { recursive: true, force: true });
  const put = async (from: string, to: string, mode = 0o644): Promise<void> => {
    const target = join(tree, to);
    await mkdir(dirname(target), { recursive: true });
    await cp(join(root, from), target, { dereference: true });
    await chmod(target, mode);
  };
  const write = async (to: string, text: string | Buffer, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(tree, to)), { recursive: true });
    await writeFile(join(tree, to), text, { mode });
  };

  await put("node_modules/node/bin/node", `${HOME}/node`, 0o755);
  for (const file of ["tock.js", "tockd.js", "tock.html"]) await put(`dist/${file}`, `${HOME}/${file}`);
  for (const file of readdirSync(join(root, "dist/web")))
    await put(`dist/web/${file}`, `${HOME}/web/${file}`);
  await write(`${HOME}/package.json`, '{ "type": "module" }\n');
  for (const file of runtimeFiles(root)) await put(file, `${HOME}/${file}`);
  await write("usr/bin/tock", `#!/bin/sh\nexec /${HOME}/node /${HOME}/tock.js "$@"\n`, 0o755);
  await write("usr/sbin/tockd", `#!/bin/sh\nexec /${HOME}/node /${HOME}/tockd.js "$@"\n`, 0o755);

  for (const unit of ["tockd.service", "tock-guard.service"]) {
    await put(`packaging/systemd/${unit}`, `lib/systemd/system/${unit}`);
  }
  await put("packaging/tmpfiles.conf", "usr/lib/tmpfiles.d/tock.conf");
  for (const page of readdirSync(join(root, "packaging/man"))) {
    const section = page.slice(page.lastIndexOf(".") + 1);
    const text = readFileSync(join(root, "packaging/man", page));
    await write(`usr/share/man/man${section}/${page}.gz`, gzipSync(text, { level: 9 }));
  }
  for (const program of ["tock", "tockd"]) {
    await put(`dist/completions/${program}.bash`, `usr/share/bash-completion/completions/${program}`);
    await put(`dist/completions/_${program}`, `usr/share/zsh/vendor-completions/_${program}`);
    await put(`dist/completions/${program}.fish`, `usr/share/fish/vendor_completions.d/${program}.fish`);
  }
  const doc = "usr/share/doc/tock";
  await put("LICENSE", `${doc}/copyright`);
  for (const file of ["README.md", "SECURITY.md", "dist/sbom.cdx.json"]) {
    await put(file, `${doc}/${file.slice(file.lastIndexOf("/") + 1)}`);
  }
  await write(`${doc}/changelog.gz`, gzipSync(readFileSync(join(root, "CHANGELOG.md")), { level: 9 }));
  await write(`${doc}/examples/tockd.toml`, exampleConfig());
  for (const file of ["alerts.yml", "grafana-dashboard.json"]) {
    await put(`packaging/${file}`, `${doc}/examples/${file}`);
  }
  for (const page of readdirSync(join(root, "docs"))) {
    if (page.endsWith(".md")) await put(`docs/${page}`, `${doc}/docs/${page}`);
  }

  for (const script of ["postinst", "prerm", "postrm"])
    await put(`packaging/deb/${script}`, `DEBIAN/${script}`, 0o755);
  await write("DEBIAN/control", control(version, architecture, await kilobytes(tree)));
  await setDates(tree, epoch);
  const name = `tock_${version}_${architecture}.deb`;
  // One thread: how many there are changes what xz writes.
  const options = ["--root-owner-group", "--threads-max=1", "-Zxz", "-z1"];
  execFileSync("dpkg-deb", [...options, "--build", tree, join(root, "dist", name)], { stdio: "ignore" });
  return name;
}

/** koffi and its native part, without sources: all that tockd loads that is not in its bundle. */
function runtimeFiles(root: string): string[] {
  const found: string[] = [];
  const walk = (folder: string, skip: readonly string[]): void => {
    for (const name of readdirSync(join(root, folder)).toSorted()) {
      const path = `${folder}/${name}`;
      if (skip.includes(name)) continue;
      if (statSync(join(root, path)).isDirectory()) walk(path, skip);
      else found.push(path);
    }
  };
  walk("node_modules/koffi", [
    "doc",
    "vendor",
    "lib",
    "CHANGELOG.md",
    "README.md",
    "cnoke.cjs",
    "CMakeLists.txt",
    "CMakeLists.in",
  ]);
  const native = "node_modules/@koromix";
  if (existsSync(join(root, native))) walk(native, ["README.md"]);
  return found.filter((path) => !/\.(cc|hh|h|S|asm|d\.ts)$/.test(path));
}

/** What `tockd init` would make, to read: the one in /etc is made by that, with what is found on the machine. */
function exampleConfig(): string {
  return configTemplate({
    name: "myserver",
    addresses: ["203.0.113.7"],
    port: undefined,
    services: [{ name: "ssh", ports: ["tcp/22"] }],
    users: ["alice"],
    knock: false,
    state: undefined,
    socket: undefined,
    backend: undefined,
    allow: [],
  });
}

function control(version: string, architecture: string, size: number): string {
  return `Package: tock
Version: ${version}
Architecture: ${architecture}
Maintainer: Tock contributors <noreply@example.invalid>
Installed-Size: ${size}
Depends: libc6, libstdc++6, libatomic1, adduser, iptables | nftables
Recommends: nftables, iptables
Suggests: systemd
Section: net
Priority: optional
Description: single-packet authorization with secrets that rotate
 Makes a server's SSH port, or any port, not exist until somebody with the right
 device asks. tockd, the daemon, lets one address in for 30 seconds for each
 authentic packet or knock sequence; tock, the client, sends them.
`;
}

async function kilobytes(tree: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return Math.ceil(bytes / 1024);
}

async function setDates(tree: string, epoch: number): Promise<void> {
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    await lutimes(join(entry.parentPath, entry.name), epoch, epoch);
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
  await chmod(tree, 0o755);
  await lutimes(tree, epoch, epoch);
}
