import type { PortRange } from "../../shared/port-range.ts";
import { rangeOf } from "./ports.ts";

/** What a command of knockd's or fwknop's comes to. */
export type Meaning =
  /** It lets the knocker in to ports of this machine, or ends that. */
  | { readonly kind: "open" | "close"; readonly ports: readonly PortRange[] }
  /** A program that can be run as it is, without a shell. */
  | { readonly kind: "program"; readonly argv: readonly [string, ...string[]] }
  | { readonly kind: "refused"; readonly why: string };

const SHELL = /[|&;<>`$(){}*?~#!\n]/;
const NAMES_ADDRESS = /%IP%|\$(?:IP|SRC|PKT_SRC|DST|PORT|PROTO|TIMEOUT|\{)/;

/** Understands one command, which may be several joined by `&&` or `;` as long as all of them are about the packet filter. */
export function meaningOf(command: string): Meaning {
  const parts = command
    .split(/&&|;/)
    .map((part) => part.trim())
    .filter(Boolean);
  const meanings = parts.map(partOf);
  const [first] = meanings;
  if (first === undefined) return refused("it is empty");
  if (meanings.length === 1) return first;
  const filters = meanings.flatMap((each) => (each.kind === "open" || each.kind === "close" ? [each] : []));
  if (filters.length < meanings.length) {
    return (
      meanings.find((each) => each.kind === "refused") ??
      refused(
        "it is several commands for a shell: hooks run one program, without a shell; put them into a script of its own",
      )
    );
  }
  if (new Set(filters.map(({ kind }) => kind)).size > 1) return refused("it opens and closes at once");
  return { kind: filters[0]?.kind ?? "open", ports: filters.flatMap(({ ports }) => ports) };
}

function partOf(text: string): Meaning {
  const words = wordsOf(text);
  if (words === undefined) return refused("its quotes do not end");
  while (/^(sudo|\/usr\/bin\/sudo)$/.test(words[0] ?? "")) words.shift();
  const [program = "", ...args] = words;
  switch (program.replace(/^.*\//, "")) {
    case "iptables":
    case "ip6tables":
      return iptables(args);
    case "ufw":
      return ufw(args);
    case "nft":
      return nft(args);
    case "ipset":
      return refused("an ipset names addresses, not ports: name the ports of a service instead");
    case "firewall-cmd":
      return firewalld(args);
    default:
      return program_(text, program, args);
  }
}

function program_(text: string, program: string, args: readonly string[]): Meaning {
  if (NAMES_ADDRESS.test(text)) {
    return refused(
      "it takes the address as an argument, and a hook gets it as TOCK_ADDRESS in its environment: put it into a script that reads that, and name the script in [hooks]",
    );
  }
  if (SHELL.test(text))
    return refused(
      "it needs a shell, and hooks run without one: put it into a script, and name the script in [hooks]",
    );
  if (!/^\/./.test(program)) return refused("a hook's program is named by its whole path");
  if (args.length > 63 || text.includes("\0"))
    return refused("it has more than 63 arguments, or a NUL in one");
  return { kind: "program", argv: [program, ...args] };
}

const ALLOW_ALL = "it lets the knocker in to every port: name the ports in [services.NAME] instead";

function iptables(args: readonly string[]): Meaning {
  const value = (...flags: string[]): string | undefined => {
    const at = args.findIndex((word) => flags.includes(word));
    return at < 0 ? undefined : args[at + 1];
  };
  const table = value("-t", "--table");
  const [opens, closes] = [value("-A", "-I", "--append", "--insert"), value("-D", "--delete")];
  const chain = opens ?? closes;
  if (chain === undefined) return refused("it neither adds nor deletes a rule of iptables");
  const target = value("-j", "--jump");
  if ((table !== undefined && table !== "filter") || /FORWARD|PREROUTING|POSTROUTING/.test(chain)) {
    return refused(
      "it forwards to another machine: a service with to leads its port there, one with forward guards ports of machines behind this one",
    );
  }
  if (target !== "ACCEPT")
    return refused(`it does not accept (-j ${target ?? "nothing"}): Tock shuts by itself and only opens`);
  const listed = value("--dport", "--dports", "--destination-port", "--destination-ports");
  if (listed === undefined) return refused(ALLOW_ALL);
  const protocol = value("-p", "--protocol") ?? "tcp";
  return filter(opens === undefined ? "close" : "open", protocol, listed);
}

/** ufw [insert 1] allow from %IP% to any port 22 [proto tcp]; ufw delete allow … */
function ufw(args: readonly string[]): Meaning {
  const kind = args.includes("delete") ? "close" : "open";
  if (!args.includes("allow") && !args.includes("limit")) return refused("it allows nothing");
  const port = args[args.indexOf("port") + 1];
  if (!args.includes("port") || port === undefined) return refused(ALLOW_ALL);
  const protocol = args.includes("proto") ? (args[args.indexOf("proto") + 1] ?? "") : "any";
  return filter(kind, protocol, port);
}

/** nft add rule … ip saddr %IP% tcp dport 22 accept, with or without braces around the ports. */
function nft(args: readonly string[]): Meaning {
  const text = args.join(" ");
  const [, protocol = "", many, one] = /\b(tcp|udp) dport (?:\{([^}]*)\}|([0-9-]+))/.exec(text) ?? [];
  if (/\belement\b/.test(text))
    return refused("a set of nft names no ports by itself: name the ports of a service instead");
  if (/\bdelete\b/.test(text))
    return refused("it deletes a rule by its handle: Tock closes by itself when the time is over");
  if (!/\baccept\b/.test(text)) return refused("it does not accept: Tock shuts by itself and only opens");
  if (protocol === "") return refused(ALLOW_ALL);
  return filter("open", protocol, (many ?? one ?? "").replace(/\s/g, ""));
}

/** firewall-cmd --add-rich-rule='… port port="22" protocol="tcp" accept', --add-port=22/tcp, --add-service is not resolved. */
function firewalld(args: readonly string[]): Meaning {
  const text = args.join(" ");
  const kind = /--remove-/.test(text) ? "close" : "open";
  const [, richPort] = /port port="?([0-9-]+)"?/.exec(text) ?? [];
  const [, richProtocol] = /protocol="?(tcp|udp)"?/.exec(text) ?? [];
  const [, port, protocol] = /--(?:add|remove)-port=([0-9-]+)\/(tcp|udp)/.exec(text) ?? [];
  const found = richPort ?? port;
  if (found === undefined) return refused("it names no port: name the ports of a service instead");
  return filter(kind, richProtocol ?? protocol ?? "tcp", found);
}

function filter(kind: "open" | "close", protocol: string, list: string): Meaning {
  const protocols = protocol === "any" || protocol === "all" ? (["tcp", "udp"] as const) : [protocol];
  const ports: PortRange[] = [];
  for (const each of protocols) {
    if (each !== "tcp" && each !== "udp") return refused(`services are tcp or udp, not ${each}`);
    for (const text of list.split(",")) {
      const range = rangeOf(each, text);
      if (range === undefined) return refused(`${JSON.stringify(text)} is no port number: write the number`);
      ports.push(range);
    }
  }
  return { kind, ports };
}

/** Words as a shell would part them, with quotes; undefined where a quote does not end. */
function wordsOf(text: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*(?:((?:"[^"]*"|'[^']*'|[^\s"'])+)|(["']))/gy;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (match[1] === undefined) return undefined;
    words.push(
      match[1].replace(
        /"([^"]*)"|'([^']*)'/g,
        (_, a: string | undefined, b: string | undefined) => a ?? b ?? "",
      ),
    );
  }
  return words;
}

function refused(why: string): Meaning {
  return { kind: "refused", why };
}
