/**
 * The house rules, checked by machine: floors, doors, names, sizes. Each rule is a function from
 * the sources to violations, and each is first shown made-up offenders, so that a rule which has
 * gone blind is seen.
 *
 * A failure lists file:line and what to do instead. To move a wall, change the tables below, and
 * ARCHITECTURE.md.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dir, "..");

// ------------------------------------------------------------------------------------- the tables

/** What each area may import besides itself: lower floors only, and never a neighbour. */
const floors: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ["base"],
  config: ["base"],
  catalog: ["wire", "config", "base"],
  tables: ["wire", "config", "base"],
  chunks: ["wire", "config", "base"],
  master: ["catalog", "tables", "wire", "config", "base", "threads", "embedded"],
  keeper: ["tables", "chunks", "wire", "config", "base", "threads"],
  client: ["wire", "config", "base", "threads"],
  rescue: ["chunks", "wire", "config", "base"],
  gateway: ["client", "wire", "config", "base"],
  cli: [
    ...["gateway", "master", "keeper", "client", "rescue", "catalog", "tables", "chunks"],
    ...["wire", "config", "base", "threads", "embedded"],
  ],
  // The files that stand outside the floors, directly in src/
  embedded: ["base"],
  threads: ["wire", "base", "embedded"],
  main: ["cli", "config", "wire", "base", "threads", "embedded"],
};

interface Door {
  /** What needs a door: an imported module, or a piece of code. */
  module?: RegExp;
  code?: RegExp;
  allowed: readonly string[];
  instead: string;
}

const filesDoor = {
  allowed: [
    "src/base/private_file.ts",
    "src/chunks/disk.ts",
    "src/client/local_files.ts",
    "src/client/state_files.ts",
    "src/client/watch/disk.ts",
    "src/client/watch/hints.ts",
    "src/client/local_names.ts",
    "src/client/local_target.ts",
    "src/client/partial_file.ts",
    "src/client/receiver/receive_range.ts",
    "src/client/small_files/small_writer.ts",
    "src/client/trees/local_tree.ts",
    "src/client/trees/local_writer.ts",
    "src/config/load.ts",
    "src/config/saved.ts",
    "src/cli/shell/history.ts",
    "src/master/archive_files.ts",
    "src/master/data_dir.ts",
    "src/master/nats_server.ts",
    "src/catalog/",
    "src/cli/service/files.ts",
    "src/rescue/target.ts",
  ],
  instead: "let chunks/disk, client/local_files, config/load or master/data_dir touch the files",
};
const timeDoor = {
  allowed: ["src/base/clock.ts"],
  instead: "take a Clock (src/base/clock.ts) as an argument",
};
const randomDoor = {
  allowed: ["src/base/random.ts"],
  instead: "take a Random (src/base/random.ts) as an argument",
};
const environmentDoor = {
  allowed: ["src/config/load.ts", "src/base/failpoint.ts", "src/main.ts"],
  instead: "add an option to src/config/options.ts, and take its value as an argument",
};
const consoleDoor = {
  allowed: [
    "src/cli/output.ts",
    "src/cli/line_reader.ts",
    "src/cli/screen/terminal.ts",
    "src/base/log.ts",
  ],
  instead: "print through src/cli/output.ts, log through src/base/log.ts",
};

const doors: readonly Door[] = [
  {
    module: /^@nats-io\//,
    allowed: ["src/wire/bus_nats.ts", "src/wire/nats_transport.ts"],
    instead: "take a Bus (src/wire/bus.ts)",
  },
  {
    module: /^cbor-x/,
    allowed: ["src/wire/codec.ts"],
    instead: "encode and decode with src/wire/codec.ts",
  },
  {
    module: /^bun:sqlite$/,
    allowed: ["src/catalog/", "src/client/watch/state.ts"],
    instead: "ask src/catalog/",
  },
  {
    module: /^(commander|@commander-js\/)/,
    allowed: ["src/cli/"],
    instead: "keep the command line in src/cli/",
  },
  {
    module: /^smol-toml$/,
    allowed: ["src/config/load.ts", "src/config/saved.ts"],
    instead: "read settings through src/config/load.ts",
  },
  {
    module: /^mediabunny$/,
    allowed: ["src/client/media.ts"],
    instead: "ask readMedia in src/client/media.ts",
  },
  { module: /^(node:)?fs(\/promises)?$/, ...filesDoor },
  { code: /\bBun\.(file|write)\(/, ...filesDoor },
  {
    code: /\bnew Worker\(/,
    allowed: ["src/threads.ts"],
    instead: "add the thread to the list in src/threads.ts",
  },
  { code: /\b(Date|performance)\.now\(/, ...timeDoor },
  { code: /\bnew Date\(\)/, ...timeDoor },
  { code: /\bprocess\.hrtime\b|\bBun\.nanoseconds\(/, ...timeDoor },
  { code: /\bMath\.random\(/, ...randomDoor },
  { code: /\b(randomUUID|randomBytes|getRandomValues)\(/, ...randomDoor },
  { code: /\b(process|Bun|import\.meta)\.env\b/, ...environmentDoor },
  { code: /\bconsole\.\w+\(/, ...consoleDoor },
  { code: /\bprocess\.(stdout|stderr)\b/, ...consoleDoor },
];

const vagueWords = ["index", "util", "utils", "helper", "helpers", "common", "manager", "types"];
const linesMax = 500;
const workerLinesMax = 40;
const columnsMax = 100;

// -------------------------------------------------------------------------------- reading sources

interface Source {
  path: string;
  text: string;
  /** The text with comments blanked, line by line as it was. */
  code: string;
  /** The code with the insides of strings and regular expressions blanked too. */
  bare: string;
  imports: { specifier: string; line: number }[];
}

function sourceOf(path: string, text: string): Source {
  const { code, bare } = blank(text);
  return { path, text, code, bare, imports: importsOf(code, bare) };
}

function readSources(): Source[] {
  return ["src/**/*.ts", "workers/**/*.ts"]
    .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })])
    .sort()
    .map((path) => sourceOf(path, readFileSync(join(root, path), "utf8")));
}

const token = new RegExp(
  [
    /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)/.source,
    /(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/.source,
    /(?<regex>(?<=(?:^|[=(,:[!&|?{};]|=>|\breturn)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*)/
      .source,
    /(?<other>[`{}]|[^"'`{}/]+|\/)/.source,
  ].join("|"),
  "gm",
);

/** Blanks comments, and the insides of literals; code within `${…}` of a template stays. */
function blank(text: string): { code: string; bare: string } {
  const hide = (piece: string) => piece.replace(/[^\n]/g, " ");
  let code = "";
  let bare = "";
  let at = 0;
  // For each open template literal, how many braces are open within its ${…}
  const templates: number[] = [];
  while (at < text.length) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) break;
    const piece = match[0];
    at += piece.length;
    const { comment, string, regex } = match.groups ?? {};
    if (comment !== undefined) {
      code += hide(piece);
      bare += hide(piece);
      continue;
    }
    code += piece;
    bare += string !== undefined || regex !== undefined
      ? piece.slice(0, 1) + hide(piece.slice(1, -1)) + piece.slice(-1)
      : piece;
    const depth = templates.length - 1;
    if (piece === "{" && depth >= 0) templates[depth] = (templates[depth] ?? 0) + 1;
    if (piece === "}" && depth >= 0) templates[depth] = (templates[depth] ?? 0) - 1;
    const isHoleEnd = piece === "}" && templates[depth] === 0;
    if (isHoleEnd) templates.pop();
    if (piece !== "`" && !isHoleEnd) continue;
    const inside = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y;
    inside.lastIndex = at;
    const literal = inside.exec(text)?.[0] ?? "";
    at += literal.length;
    const end = text.startsWith("${", at) ? "${" : text.slice(at, at + 1);
    at += end.length;
    if (end === "${") templates.push(1);
    code += literal + end;
    bare += hide(literal) + end;
  }
  return { code, bare };
}

/** Finds static, type-only and literal dynamic imports, and re-exports. */
function importsOf(code: string, bare: string): { specifier: string; line: number }[] {
  const pattern = /\bfrom\s*(["'])(.+?)\1|\bimport\s*\(?\s*(["'])(.+?)\3/g;
  return [...code.matchAll(pattern)]
    .filter((match) => /[a-z]/.test(bare.slice(match.index, match.index + 4)))
    .map((match) => ({ specifier: match[2] ?? match[4] ?? "", line: lineAt(code, match.index) }));
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** The area of a file: the folder below src, or the name of a file that stands directly in src. */
function areaOf(path: string): string {
  const [top, second = ""] = path.split("/");
  return top === "src" ? second.replace(/\.ts$/, "") : top ?? "";
}

/** The source that a relative import means; undefined for packages, and for files of data. */
function importedPath(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith(".") || specifier.endsWith(".json")) return undefined;
  return normalize(join(dirname(source.path), specifier));
}

// -------------------------------------------------------------------------------------- the rules

type Rule = (sources: readonly Source[]) => string[];

const floorRule: Rule = (sources) =>
  sources.flatMap((source) =>
    source.imports.flatMap(({ specifier, line }) => {
      const path = importedPath(source, specifier);
      const from = areaOf(source.path);
      const to = path === undefined ? from : areaOf(path);
      if (path?.startsWith("workers/")) {
        return [
          `${source.path}:${line} imports a worker: name its thread in src/threads.ts instead`,
        ];
      }
      if (from === "workers" || from === to) return [];
      const lower = floors[from];
      if (lower === undefined) {
        return [`${source.path}:${line} is on no floor: put src/${from} into the house plan first`];
      }
      if (lower.includes(to)) return [];
      const choice = lower.length === 0 ? "nothing" : lower.join(", ");
      return [
        `${source.path}:${line} imports ${path}: ${from} may import ${choice}; ` +
        `say it through wire, move it down a floor, or take it as an argument`,
      ];
    })
  );

const circleRule: Rule = (sources) => {
  const sourceByPath = new Map(sources.map((source) => [source.path, source]));
  const finished = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const circle = [...trail.slice(start), path].join(" → ");
      circles.push(`${circle}: move what both need into a third file`);
    }
    const source = sourceByPath.get(path);
    if (start >= 0 || finished.has(path) || source === undefined) return;
    for (const { specifier } of source.imports) {
      const next = importedPath(source, specifier);
      if (next !== undefined) visit(next, [...trail, path]);
    }
    finished.add(path);
  };
  for (const source of sources) visit(source.path, []);
  return circles;
};

const doorRule: Rule = (sources) =>
  sources.flatMap((source) =>
    doors.flatMap((door) => {
      if (door.allowed.some((allowed) => source.path.startsWith(allowed))) return [];
      const { module, code } = door;
      const imported = module === undefined
        ? []
        : source.imports.filter(({ specifier }) => module.test(specifier));
      const written = code === undefined ? [] : findInLines(source.bare, code);
      return [
        ...imported.map(({ specifier, line }) => ({ what: `imports ${specifier}`, line })),
        ...written.map(({ found, line }) => ({ what: `has ${found}`, line })),
      ].map(({ what, line }) => `${source.path}:${line} ${what}: ${door.instead}`);
    })
  );

const nameRule: Rule = (sources) =>
  sources.flatMap(({ path }) => {
    const names = path.replace(/\.ts$/, "").split("/");
    const file = names.at(-1) ?? "";
    const wordsOfAll = names.flatMap((name) => name.split("_"));
    const vague = wordsOfAll.find((word) => vagueWords.includes(word));
    if (vague !== undefined) {
      return [`${path}:1 is named "${vague}": name it after the one idea that it holds`];
    }
    if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)?$/.test(file)) {
      return [`${path}:1 is no snake_case name of one or two words: rename it`];
    }
    return [];
  });

const shapeRule: Rule = (sources) =>
  sources.flatMap((source) => {
    const { path, text } = source;
    const lines = text.replace(/\n$/, "").split("\n");
    const found: string[] = [];
    if (!text.startsWith("/**")) {
      found.push(`${path}:1 has no header: open with /** what it owns, what it never does */`);
    }
    const max = path.startsWith("workers/") ? workerLinesMax : linesMax;
    if (lines.length > max) {
      found.push(`${path}:${max + 1} is longer than ${max} lines: part deciding from doing`);
    }
    const bareLines = source.bare.split("\n");
    lines.forEach((line, index) => {
      if (line.length <= columnsMax || isLongForALiteral(line, bareLines[index] ?? "")) return;
      found.push(`${path}:${index + 1} is wider than ${columnsMax} columns: break the line`);
    });
    return found;
  });

/** No formatter can break a long string or address; what stands around it must be short. */
function isLongForALiteral(line: string, bare: string): boolean {
  if (/https?:\/\/\S{40}/.test(line)) return true;
  return bare.replace(/\s{20,}/g, "").length <= columnsMax && /["'`/]\s{20,}/.test(bare);
}

const typeRule: Rule = (sources) =>
  sources.flatMap((source) => [
    ...findInLines(source.bare, /(:|\bas|[<|&,])\s*any\b(?!\s*[:(.])|\bany\[\]/).map(({ line }) =>
      `${source.path}:${line} has the type any: use unknown, and narrow it with a schema`
    ),
    ...findInLines(source.text, /@ts-(ignore|nocheck|expect-error)/).map(({ found, line }) =>
      `${source.path}:${line} has ${found}: give the value its right type`
    ),
  ]);

function findInLines(text: string, pattern: RegExp): { found: string; line: number }[] {
  return text.split("\n").flatMap((line, index) => {
    const found = pattern.exec(line)?.[0];
    return found === undefined ? [] : [{ found: found.trim(), line: index + 1 }];
  });
}

// -------------------------------------------------------------------------------------- the tests

function mustBeEmpty(violations: readonly string[]): void {
  if (violations.length > 0) throw new Error(`House rules broken:\n  ${violations.join("\n  ")}`);
}

/** A rule, and offenders that it must see: path, text, and what the message must hold. */
const rules: readonly {
  name: string;
  rule: Rule;
  offenders: readonly [string, string, string][];
}[] = [
  {
    name: "imports go down the floors only",
    rule: floorRule,
    offenders: [
      ["src/base/a.ts", 'import { b } from "../wire/b.ts";', "src/base/a.ts:1"],
      ["src/client/a.ts", 'import type { B } from "../catalog/b.ts";', "may import wire"],
      ["src/master/rpc/a.ts", '\nexport * from "../../chunks/b.ts";', "src/master/rpc/a.ts:2"],
      ["src/keeper/a.ts", 'await import("../catalog/b.ts");', "src/catalog/b.ts"],
      ["src/wire/a.ts", 'import { b } from "../config/b.ts";', "wire may import base"],
      ["src/master/a.ts", 'import {\n  b,\n} from "../keeper/b.ts";', "src/keeper/b.ts"],
      ["src/threads.ts", 'import "../workers/a.ts";', "imports a worker"],
      ["src/attic/a.ts", 'import "../base/b.ts";', "is on no floor"],
    ],
  },
  {
    name: "imports make no circle",
    rule: circleRule,
    offenders: [["src/base/a.ts", 'import "./a.ts";', "third file"]],
  },
  {
    name: "each dependency and each effect has one door",
    rule: doorRule,
    offenders: [
      ["src/master/a.ts", 'import { connect } from "@nats-io/transport-node";', "take a Bus"],
      ["src/keeper/a.ts", 'import { encode } from "cbor-x";', "wire/codec"],
      ["src/keeper/a.ts", 'import { readFileSync } from "node:fs";', "chunks/disk"],
      ["src/cli/a.ts", 'await import("mediabunny");', "src/client/media.ts"],
      ["src/client/a.ts", "const x = `${Date.now()}`;", "take a Clock"],
      ["src/client/a.ts", 'const a = /["`]/; const x = Math.random();', "take a Random"],
      ["src/client/a.ts", "if (process.env.X) go();", "config/options"],
      ["src/client/a.ts", 'console.log("x");', "cli/output"],
      ["src/keeper/a.ts", 'const w = new Worker("x");', "src/threads.ts"],
    ],
  },
  {
    name: "files are named after one idea",
    rule: nameRule,
    offenders: [
      ["src/base/utils.ts", "", "one idea"],
      ["src/master/file_manager.ts", "", "one idea"],
      ["src/base/bigThing.ts", "", "snake_case"],
      ["src/base/a_b_c.ts", "", "snake_case"],
    ],
  },
  {
    name: "files have a header, and stay within their size",
    rule: shapeRule,
    offenders: [
      ["src/base/a.ts", "// x\n", "no header"],
      ["src/base/a.ts", `/** x */\n${"x;\n".repeat(linesMax)}`, "500 lines"],
      ["workers/a.ts", `/** x */\n${"x;\n".repeat(workerLinesMax)}`, "40 lines"],
      ["src/base/a.ts", `/** x */\n// ${"word ".repeat(20)}`, "src/base/a.ts:2"],
    ],
  },
  {
    name: "types are told",
    rule: typeRule,
    offenders: [
      ["src/base/a.ts", "let x: any;", "unknown"],
      ["src/base/a.ts", "go(x as any);", "unknown"],
      ["src/base/a.ts", "new Map<string, any>();", "unknown"],
      ["src/base/a.ts", "// @ts-" + "ignore\n", "right type"],
    ],
  },
];

const innocent = `/** Speaks of Date.now() and "any" only. */
import { a } from "./a.ts";
// Math.random() and console.log() in a comment
const text = "import { b } from '../cli/b.ts'; Date.now()";
const pattern = /process\\.env \\/\\/ "/;
const template = \`Math.random() \${a({ b: "}" })} new Worker(\`;
const half = a / 2 / 3;
export const address = "https://example.org/${"x".repeat(100)}";
`;

const sources = readSources();

describe("tidy", () => {
  for (const { name, rule, offenders } of rules) {
    test(name, () => {
      for (const [path, text, message] of offenders) {
        expect(rule([sourceOf(path, text)]).join("\n")).toContain(message);
      }
      mustBeEmpty(rule([sourceOf("src/wire/innocent.ts", innocent)]));
      mustBeEmpty(rule(sources));
    });
  }

  test("the lock file holds no download address", () => {
    const lines = readFileSync(join(root, "package-lock.json"), "utf8").split("\n");
    mustBeEmpty(
      lines.flatMap((line, index) =>
        /"resolved":|https?:/.test(line)
          ? [`package-lock.json:${index + 1} holds an address: install with .npmrc in its place`]
          : []
      ),
    );
  });

  test("packages are pinned to exact versions", () => {
    const packageJson = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const wanted = { ...packageJson.dependencies, ...packageJson.devDependencies };
    mustBeEmpty(
      Object.entries(wanted).flatMap(([name, version]) =>
        /^\d+\.\d+\.\d+$/.test(version)
          ? []
          : [`package.json: ${name} is "${version}": write one exact version`]
      ),
    );
  });
});
