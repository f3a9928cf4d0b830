import { bold, example, heading, item, paragraph, text } from "./roff.ts";

/** The Markdown of docs/CONFIG.md as roff: headings, paragraphs, lists, tables and fenced code. */
export function roffOf(markdown: string): string {
  return markdown
    .split(/^(```[^]*?^```)$/gm)
    .map((part) => (part.startsWith("```") ? example(part.replace(/^```.*\n|\n```$/g, "")) : blocks(part)))
    .join("");
}

function blocks(markdown: string): string {
  return markdown
    .split(/\n{2,}/)
    .map((block) => block.trim())
    .filter((block) => block !== "")
    .map((block) => {
      if (block.startsWith("#")) return heading(block.replace(/^#+ /, ""));
      if (block.startsWith("|")) return table(block);
      if (block.startsWith("- ")) {
        const items = block.split(/^- /m).slice(1);
        return items.map((each) => `.IP \\(bu 2\n${inline(joined(each))}\n`).join("");
      }
      return paragraph(inline(joined(block)));
    })
    .join("");
}

/** The first cell is the term; a default is said as one. */
function table(block: string): string {
  const [head = [], , ...rows] = block.split("\n").map(cells);
  return rows
    .map(([term = "", ...rest]) => {
      const said = rest.map((cell, index) => {
        const isDefault = head[index + 1] === "default";
        return isDefault && !["needed", "none"].includes(cell) ? `default ${cell}` : cell;
      });
      const meaning = head.includes("meaning") ? said.pop() : undefined;
      const facts = inline(said.join("; "));
      return item(inline(term), meaning === undefined ? facts : `${facts}\n.br\n${inline(meaning)}`);
    })
    .join("");
}

function cells(row: string): string[] {
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function joined(block: string): string {
  return block.replace(/\s*\n\s*/g, " ").trim();
}

function inline(words: string): string {
  return words
    .split(/(`[^`]*`|\*\*[^*]*\*\*|\[[^\]]*\]\([^)]*\))/)
    .map((part) => {
      if (/^`.*`$/.test(part)) return bold(part.slice(1, -1));
      if (/^\*\*.*\*\*$/.test(part)) return bold(part.slice(2, -2));
      return text(part.replace(/^\[([^\]]*)\]\([^)]*\)$/, "$1"));
    })
    .join("");
}
