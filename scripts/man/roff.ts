/** What manual pages are written in: man(7) macros of groff. */

/** Characters outside of ASCII, as every roff knows them. */
const SPECIAL: Readonly<Record<string, string>> = {
  "…": "\\&...",
  "–": "\\(en",
  "—": "\\(em",
  "→": "\\(->",
  "·": "\\(pc",
  "×": "\\(mu",
  "≤": "\\(<=",
  "⁻": "^\\-",
  "¹": "1",
  "⁴": "4",
  "’": "\\(cq",
};

/** Running text. A character that has no ASCII form is an error. */
export function text(words: string): string {
  const escaped = words
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replaceAll("`", "\\(ga")
    .replace(/[^\n -~]/gu, (character) => {
      const known = SPECIAL[character];
      if (known === undefined) throw new Error(`manual page: no roff for ${JSON.stringify(character)}`);
      return known;
    });
  // A line that begins with one of these would be taken for a macro.
  return escaped.replace(/^(?=[.'])/gm, "\\&");
}

export function bold(words: string): string {
  return `\\fB${text(words)}\\fR`;
}

/** Options, placeholders and the like: `<file>` in italics, everything else in bold. */
export function usage(words: string): string {
  return words
    .split(/(<[^<>]*>)/)
    .filter((part) => part !== "")
    .map((part) => (part.startsWith("<") ? `\\fI${text(part.slice(1, -1))}\\fR` : bold(part)))
    .join("");
}

export function title(name: string, section: number, version: string, manual: string): string {
  return `.TH "${name.toUpperCase()}" "${section}" "" "tock ${version}" "${manual}"\n`;
}

export function heading(words: string): string {
  return `.SH "${text(words).replaceAll('"', "")}"\n`;
}

export function subheading(words: string): string {
  return `.SS "${text(words).replaceAll('"', "")}"\n`;
}

/** `words` is roff already. */
export function paragraph(words: string): string {
  return `.PP\n${words}\n`;
}

/** A term and what it means; both are roff already. */
export function item(term: string, meaning: string): string {
  return `.TP\n${term}\n${meaning}\n`;
}

/** Text as it stands, indented. */
export function example(lines: string): string {
  return `.PP\n.RS 4\n.nf\n${text(lines)}\n.fi\n.RE\n`;
}
