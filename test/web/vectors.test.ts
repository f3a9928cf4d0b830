import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../lab/lab.ts";
import type { Host } from "../lab/host.ts";
import { BROWSERS, launch } from "./support/browser.ts";

const folder = new URL("../vectors/", import.meta.url);

describe("the vectors hold inside browsers", () => {
  let lab: Lab;
  let phone: Host;
  let files: string;

  beforeAll(async () => {
    lab = await Lab.create();
    phone = await lab.host("phone");
    const entryPoints = [fileURLToPath(new URL("page/vectors.ts", import.meta.url))];
    const bundle = await build({
      entryPoints,
      bundle: true,
      write: false,
      format: "iife",
      platform: "browser",
    });
    const script = bundle.outputFiles[0]?.text ?? "";
    await writeFile(
      phone.path("vectors.html"),
      `<!doctype html><meta charset="utf-8"><script>${script}</script>`,
    );
    const names = (await readdir(folder)).filter(
      (file) => file.endsWith(".json") && file !== "published.json",
    );
    const texts = await Promise.all(names.map((file) => readFile(new URL(file, folder), "utf8")));
    files = `{${names.map((file, index) => `"${file.replace(".json", "")}": ${texts[index]}`).join(",")}}`;
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  test.each(BROWSERS)("%s", async (name) => {
    const browser = await launch(name, phone);
    try {
      await browser.goto(`file://${phone.path("vectors.html")}`);
      const { checked, wrong } = await browser.evaluate<{ checked: number; wrong: string[] }>(
        `runVectors(${files})`,
      );
      expect(wrong).toEqual([]);
      expect(checked).toBeGreaterThan(300);
    } finally {
      await browser.close();
    }
  });
});
