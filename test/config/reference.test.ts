/** The README's reference of settings is the table of `options.ts`, and names nothing else. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { envName, flagName, type OptionKey, OPTIONS } from "../../src/config/options.ts";

test("the README has every setting as options.ts has it", () => {
  const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
  expect(readme).toContain(settingsReference());
});

/** A Markdown table, one row a setting: flag, environment, default, who takes it, what it is. */
function settingsReference(): string {
  const rows = (Object.keys(OPTIONS) as OptionKey[]).map((key) => {
    const option = OPTIONS[key];
    const cells = [
      `\`${flagName(key)}\``,
      `\`${envName(key)}\``,
      `\`${key}\``,
      option.default === "" ? "" : `\`${option.default}\``,
      option.for.join(", "),
      option.sentence,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = "| flag | environment | in tydfs.toml | default | for | what it is |";
  return [head, "| --- | --- | --- | --- | --- | --- |", ...rows].join("\n");
}
