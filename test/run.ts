/**
 * Runs all tests: first everything but test/cluster and test/faults in one `bun test`, then each
 * file of these in a process of its own, one after the other (they start whole clusters, and bun
 * kills the children of a file that times out).
 *
 * Nothing passes silently: a file without tests, a skipped test and a process that dies count as
 * failures.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "..");
const unitTimeoutMs = 30_000;
const clusterTimeoutMs = 180_000;
const processTimeoutMs = 30 * 60_000;

const help = `Usage: bun test/run.ts [options]

Options:
  --unit           leave out test/cluster and test/faults
  --only PATTERN   only files whose path contains PATTERN
  --help           this text`;

interface Outcome {
  passed: number;
  failed: number;
  /** What went wrong beyond failing tests, a sentence each. */
  complaints: string[];
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
  const isCluster = (file: string) =>
    file.startsWith("test/cluster/") || file.startsWith("test/faults/");
  const unitFiles = files.filter((file) => !isCluster(file));
  const clusterFiles = values.unit === true ? [] : files.filter(isCluster);

  const outcomes: Outcome[] = [];
  if (unitFiles.length > 0) outcomes.push(await runTests(unitFiles, unitTimeoutMs));
  for (const file of clusterFiles) outcomes.push(await runTests([file], clusterTimeoutMs));

  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  for (const complaint of outcomes.flatMap((outcome) => outcome.complaints)) {
    console.log(complaint);
  }
  if (passed + failed === 0) console.log(`No tests found for "${only}"`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

async function runTests(files: readonly string[], timeoutMs: number): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), "tydfs-tests-"));
  const reportPath = join(dir, "report.xml");
  try {
    const command = [process.execPath, "test", `--timeout=${timeoutMs}`];
    command.push("--reporter=junit", `--reporter-outfile=${reportPath}`);
    command.push(...files.map((file) => `./${file}`));
    const child = Bun.spawn(command, {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      timeout: processTimeoutMs,
      killSignal: "SIGKILL",
    });
    const exitCode = await child.exited;
    const report = readReport(reportPath);
    const outcome = judge(files, report, exitCode);
    if (child.signalCode !== null) {
      outcome.complaints.push(`The tests of ${files.join(", ")} ended by ${child.signalCode}`);
    }
    return outcome;
  } finally {
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

function judge(files: readonly string[], report: string, exitCode: number): Outcome {
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
