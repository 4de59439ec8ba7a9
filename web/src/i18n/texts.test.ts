import ts from "typescript";
import { expect, test } from "vitest";
import { de } from "./de";
import { en } from "./en";

/** Names, and what is written alike everywhere. */
const ALIKE = new Set(["cinema", "English", "Deutsch", "SHA-256"]);
const READ_ALOUD = new Set(["alt", "aria-label", "placeholder", "title"]);
const PATIENCE_MS = 120_000;
const LETTERS = /\p{L}{2,}/u;

const sources = import.meta.glob<string>(
  ["../**/*.{ts,tsx}", "!../**/*.{test,d}.ts", "!./{en,de}.ts"],
  {
    query: "?raw",
    import: "default",
    eager: true,
  },
);
const keys = Object.keys(en) as (keyof typeof en)[];

function placeholders(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "").sort();
}

test("both languages have the same texts, with the same gaps to fill", () => {
  expect(Object.keys(de).sort()).toEqual([...keys].sort());
  for (const key of keys) {
    expect([key, en[key].trim() !== "", de[key].trim() !== ""]).toEqual([key, true, true]);
    expect([key, placeholders(de[key])]).toEqual([key, placeholders(en[key])]);
  }
});

test("every text is shown somewhere", () => {
  const all = Object.values(sources).join("\n");
  const named = new Set([...all.matchAll(/"([\w.]+)"/g)].map(([, text]) => text));
  // `reports.${name}` shows all texts that begin so.
  const beginnings = [...all.matchAll(/`([\w.]+[._])\$\{/g)].map(([, text]) => text ?? "");
  const unused = keys.filter(
    (key) =>
      !named.has(key) &&
      !named.has(key.replace(/_(one|other)$/, "")) &&
      !beginnings.some((text) => key.startsWith(text)),
  );
  expect(unused).toEqual([]);
});

test("no page says a word that has no German", { timeout: PATIENCE_MS }, () => {
  const found = Object.entries(sources).flatMap(([name, source]) =>
    name.endsWith(".tsx") ? wordsIn(name, source) : [],
  );
  expect(found).toEqual([]);
});

/** Words that stand in a page itself, between its elements or in what is read aloud. */
function wordsIn(name: string, source: string): string[] {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, false, ts.ScriptKind.TSX);
  const found: string[] = [];
  const look = (node: ts.Node) => {
    const text = wordOf(node)?.trim();
    if (text !== undefined && LETTERS.test(text) && !ALIKE.has(text))
      found.push(`${name}: ${text}`);
    ts.forEachChild(node, look);
  };
  look(file);
  return found;
}

function wordOf(node: ts.Node): string | undefined {
  if (ts.isJsxText(node)) return node.text;
  if (!ts.isJsxAttribute(node) || !ts.isIdentifier(node.name)) return undefined;
  if (!READ_ALOUD.has(node.name.text)) return undefined;
  return node.initializer && ts.isStringLiteral(node.initializer)
    ? node.initializer.text
    : undefined;
}
