/**
 * Runs all tests: first the unit tests in one `bun test`, then each file that starts whole clusters
 * in a process of its own (bun kills the children of a file that times out), two at a time: they
 * mostly wait, and each has ports and directories of its own. What plays histories in two processes
 * of its own runs alone.
 *
 * Nothing passes silently: a file without tests, a skipped test and a process that dies count as
 * failures.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "..");
const pairedFolders = ["test/faults/", "test/cluster/"];
const loneFolders = ["test/sim/", "test/planted/"];
const unitTimeoutMs = 30_000;
const clusterTimeoutMs = 180_000;
const processTimeoutMs = 30 * 60_000;
const failureLines = 60;

const help = `Usage: bun test/run.ts [options]

Options:
  --unit           leave out what starts clusters or loads the machine
  --only PATTERN   only files whose path contains PATTERN
  --help           this text`;

interface Outcome {
  passed: number;
  failed: number;
  /** What went wrong beyond failing tests, a sentence each. */
  complaints: string[];
  /** What each failed test printed, told again at the end, where a reader of a long log looks. */
  failures: string[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      unit: { type: "boolean" },
      only: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(help);
    return 0;
  }

  const only = values.only ?? "";
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: root })].sort()
    .filter((file) => file.includes(only));
  const isIn = (folders: readonly string[]) => (file: string) =>
    folders.some((folder) => file.startsWith(folder));
  const unitFiles = files.filter((file) => !isIn([...pairedFolders, ...loneFolders])(file));
  // Folder by folder: the longest files stand in the first, so that none is left alone at the end.
  const pairedFiles = values.unit === true
    ? []
    : pairedFolders.flatMap((folder) => files.filter(isIn([folder])));
  const loneFiles = values.unit === true ? [] : files.filter(isIn(loneFolders));

  const outcomes: Outcome[] = [];
  if (unitFiles.length > 0) outcomes.push(await runTests(unitFiles, unitTimeoutMs));
  outcomes.push(...await runEach(pairedFiles, 2), ...await runEach(loneFiles, 1));

  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  const failures = outcomes.flatMap((outcome) => outcome.failures);
  if (failures.length > 0) console.log(["Failed tests, once more:", ...failures].join("\n"));
  for (const complaint of outcomes.flatMap((outcome) => outcome.complaints)) {
    console.log(complaint);
  }
  if (passed + failed === 0) console.log(`No tests found for "${only}"`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** Runs each file in a process of its own, `atOnce` of them together. */
async function runEach(files: readonly string[], atOnce: number): Promise<Outcome[]> {
  const waiting = [...files];
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      outcomes.push(await runTests([file], clusterTimeoutMs));
    }
  }));
  return outcomes;
}

async function runTests(files: readonly string[], timeoutMs: number): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), "tydfs-tests-"));
  const reportPath = join(dir, "report.xml");
  // Held back until the end where two run at once, so that their lines don't mix.
  const outputPath = join(dir, "output.txt");
  const output = openSync(outputPath, "a");
  const startedMs = performance.now();
  try {
    const command = [process.execPath, "test", `--timeout=${timeoutMs}`];
    command.push("--reporter=junit", `--reporter-outfile=${reportPath}`);
    command.push(...files.map((file) => `./${file}`));
    const child = Bun.spawn(command, {
      cwd: root,
      stdio: ["ignore", output, output],
      timeout: processTimeoutMs,
      killSignal: "SIGKILL",
    });
    const exitCode = await child.exited;
    const printed = readFileSync(outputPath, "utf8");
    process.stdout.write(printed);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${files.length === 1 ? files[0] : `${files.length} files`}: ${seconds} s`);
    const report = readReport(reportPath);
    const outcome = {
      ...judge(files, report, exitCode),
      failures: readFailures(Bun.stripANSI(printed)),
    };
    if (child.signalCode !== null) {
      outcome.complaints.push(`The tests of ${files.join(", ")} ended by ${child.signalCode}`);
    }
    return outcome;
  } finally {
    closeSync(output);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** bun writes no report when it dies early; the empty one makes every file count as failed. */
function readReport(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

interface Case {
  name: string;
  file: string;
  verdict: "passed" | "failed" | "skipped";
}

/** The lines before each `(fail)` of bun's output, back to the test before it. */
function readFailures(printed: string): string[] {
  const failures: string[] = [];
  let lines: string[] = [];
  for (const line of printed.split("\n")) {
    if (line.startsWith("(pass)")) lines = [];
    else lines.push(line);
    if (!line.startsWith("(fail)")) continue;
    failures.push(lines.slice(-failureLines).join("\n"));
    lines = [];
  }
  return failures;
}

function judge(
  files: readonly string[],
  report: string,
  exitCode: number,
): Omit<Outcome, "failures"> {
  const cases = parseCases(report);
  const complaints: string[] = [];
  for (const file of files) {
    if (!cases.some((each) => each.file === file)) complaints.push(`${file} ran no test`);
  }
  for (const each of cases) {
    if (each.verdict !== "skipped") continue;
    complaints.push(`${each.file} skips "${each.name}": make it run, or remove it`);
  }
  const passed = cases.filter((each) => each.verdict === "passed").length;
  const failed = cases.filter((each) => each.verdict === "failed").length + complaints.length;
  if (exitCode !== 0 && failed === 0) {
    complaints.push(`bun test ended with ${exitCode}, though each test passed: see its output`);
    return { passed, failed: 1, complaints };
  }
  return { passed, failed, complaints };
}

/** Reads the JUnit report: a case is `<testcase … />`, or holds a `<failure>` or `<skipped>`. */
function parseCases(report: string): Case[] {
  const cases: Case[] = [];
  for (const match of report.matchAll(/<testcase\s([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const attributes = match[1] ?? "";
    const body = match[3] ?? "";
    const isSkipped = /<skipped\b/.test(body);
    const isFailed = /<(failure|error)\b/.test(body);
    cases.push({
      name: attribute(attributes, "name"),
      file: attribute(attributes, "file").replace(/^\.\//, ""),
      verdict: isSkipped ? "skipped" : isFailed ? "failed" : "passed",
    });
  }
  return cases;
}

function attribute(text: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(text)?.[1] ?? "";
  return value.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&apos;", "'").replaceAll("&amp;", "&");
}

process.exitCode = await main();
