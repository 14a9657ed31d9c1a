/**
 * Every command with wrong, missing and contradictory arguments, from the compiled binary and
 * without any cluster: status 2, one clear line on stderr, nothing on stdout.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY } from "./harness.ts";

const home = mkdtempSync(join(tmpdir(), "tydfs-arguments-"));
afterAll(() => rmSync(home, { recursive: true }));

/** A cluster that is not there: what is wrong is to be seen without one. */
const NOWHERE = "tydfs://client:secret@127.0.0.1:1";
const WRONG = 2;
const AT_ONCE = 16;

interface Outcome {
  exit: number;
  stdout: string;
  stderr: string;
}

async function run(words: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = Bun.spawn([BINARY, ...words], {
    cwd: home,
    env: { PATH: process.env["PATH"], HOME: home, TYDFS_URL: NOWHERE, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // What begins to serve instead of refusing would never end.
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exit, stdout, stderr };
}

/** Runs all lines, several at once; returns those that were not refused as they should be. */
async function notRefused(
  table: readonly (readonly [readonly string[], RegExp])[],
): Promise<unknown[]> {
  const wrong: unknown[] = [];
  const rows = [...table];
  async function member(): Promise<void> {
    for (let row = rows.shift(); row !== undefined; row = rows.shift()) {
      const [words, message] = row;
      const { exit, stdout, stderr } = await run(words);
      const isLine = /^tydfs: [^\n]+\n$/.test(stderr) && stderr.length <= 2_100;
      // deno-lint-ignore no-control-regex
      const isClean = !/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(stderr);
      const isRight = exit === WRONG && stdout === "" && isLine && isClean && message.test(stderr);
      if (!isRight) wrong.push({ words: words.slice(0, 8), message, exit, stdout, stderr });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, member));
  return wrong;
}

const COMMANDS = [
  ...["put", "get", "sync", "cat", "head", "tail", "ls", "find", "du", "stat", "cp", "mv", "rm"],
  ...[
    "mkdir",
    "status",
    "scrub",
    "top",
    "rule",
    "bench",
    "service",
    "login",
    "logout",
    "config",
    "shell",
  ],
  ...["undelete", "trash", "drain", "rebalance", "fsck", "rescue"],
  ...["completion", "master", "keeper", "version", "help"],
];

test("every command refuses a flag that it does not have, and names its help", async () => {
  const table = COMMANDS.map((name) => {
    return [[name, "--no-such"], new RegExp(`'--no-such'.*; see tydfs ${name} --help`)] as const;
  });
  expect(await notRefused(table)).toEqual([]);
}, 60_000);

const MISSING: [string, RegExp][] = [
  ...["put", "get", "sync", "cat", "head", "tail", "stat", "cp", "mv", "rm", "mkdir"].map(
    (name): [string, RegExp] => [name, /Missing required argument '[A-Z]+'/],
  ),
  ["undelete", /Missing required argument 'PATH'/],
  ["drain", /Missing required argument 'KEEPER'/],
  ["keeper remove", /Missing required argument 'KEEPER'/],
  ["rescue", /Missing required argument 'KEEPER_DIR'/],
  ["status --if-lost", /argument missing/],
  ["trash empty", /there is no terminal; give --yes/],
  ["rescue /x", /say where to \(--to DIR\), or only --list/],
  ["sync a", /Missing required argument 'TARGET'/],
  ["cp /a", /say where to, too/],
  ["mv /a", /say where to, too/],
  ["put -", /give a remote path, too/],
  ["service", /Missing required argument 'ROLE'/],
  ["logout", /Missing required argument 'CONNECTION'/],
  ["login", /standard input has no URL/],
  ["completion", /Missing required argument 'SHELL'/],
  ["rule add", /Missing required argument 'PATTERN'/],
  ["rule rm", /Missing required argument/],
  ["shell -c", /argument missing/],
  ["find --name", /argument missing/],
  ["ls --wait", /argument missing/],
  ["ls --owner", /argument missing/],
];

test("what is missing is named", async () => {
  expect(await notRefused(MISSING.map(([line, words]) => [line.split(" "), words]))).toEqual([]);
}, 60_000);

const SURPLUS = [
  ...[
    "sync a :b c",
    "status x",
    "scrub a b",
    "top x",
    "version x",
    "completion bash x",
    "shell x",
    "master x",
  ],
  ...["trash ls a b", "trash empty --yes a b", "drain a b", "rebalance x", "fsck x"],
  ...["keeper remove a b", "keeper list x"],
  ...["keeper x", "service master x", "rule add a b --copies 2", "login x y"],
];

test("what is too much is counted, however much it is", async () => {
  const table = SURPLUS.map((line) => [line.split(" "), /Too many arguments: \d/] as const);
  const many = Array.from({ length: 5_000 }, (_, index) => `/file-${index}`);
  const all = [
    ...table,
    [["sync", ...many], /Too many arguments: 2 expected, 5000 given/] as const,
  ];
  expect(await notRefused(all)).toEqual([]);
}, 60_000);

const MALFORMED: [string, RegExp][] = [
  ["scrub --detach", /--detach here: only keepers scrub in the background/],
  ["scrub /a --now --detach", /--detach here: only keepers scrub in the background/],
  ["scrub keeper-1 -r", /--recursive here: only a path can be a directory/],
  ["undelete /a --version x", /"x" for --version/],
  ["undelete /a --version -1", /"-1" for --version/],
  ["trash nope", /Unknown command 'nope'/],
  ["rescue . --list", /Cannot rescue from ".": there is no directory "chunks" in it/],
  ["rescue /none --list", /Cannot rescue from "\/none": there is no directory "chunks" in it/],
  ["rescue /etc/hostname --list", /Cannot rescue from .*: there is no directory "chunks" in it/],
  ["upload", /Unknown command 'upload'/],
  ["stauts", /Did you mean status\?/],
  ["help nope", /there is no such command/],
  ["rule nope", /Unknown command 'nope'/],
  ["head -n x /a", /"x" for --lines/],
  ["head -n -1 /a", /"-1" for --lines/],
  ["head -c x /a", /"x" for --bytes/],
  ["tail -n 1.5 /a", /"1.5" for --lines/],
  ["tail -c -3 /a", /"-3" for --bytes/],
  ["cat --range a-b /a", /"a-b" for --range/],
  ["cat --range 9-1 /a", /it ends before it begins/],
  ["find / --size x", /"x" for --size/],
  ["find / --older x", /"x" for --older/],
  ["find / --newer x", /"x" for --newer/],
  ["find / --type z", /"z" for --type/],
  ["du --depth x /", /"x" for --depth/],
  ["du --depth -1 /", /"-1" for --depth/],
  ["put --replicas 0 a", /the least is 1/],
  ["put --replicas 99 a", /the most is 16/],
  ["put --replicas 1.5 a", /"1.5" for "replicas"/],
  ["put --min-copies x a", /"x" for "min_copies"/],
  ["put --parallel 0 a", /the least is 1/],
  ["put --transfers 1000 a", /the most is 64/],
  ["ls --wait x", /"x" for "wait"/],
  ["ls --wait -5", /"-5" for "wait"/],
  ["ls --color mauve", /must be one of/],
  ["ls --url nonsense", /must look like tydfs:\/\//],
  ["ls --url tydfs://emperor:x@h:1", /the role "emperor" is none of client, keeper/],
  ["ls --url tydfs://client:x@h:99999", /the port 99999 does not exist/],
  ["ls --cluster none", /no connection is saved by that name/],
  ["ls --config /none", /there is no such file/],
  ["ls --config /tmp", /it is a directory/],
  ["completion csh", /must be one of bash, zsh, fish/],
  ["service thief", /must be one of master, keeper/],
  ["rule add *.mp4", /asks for nothing/],
  ["rule add *.mp4 --require nope", /"nope" is not KEY=VALUE/],
  ["rule add *.mp4 --copies 99", /the most is 16/],
  ["bench --sizes x", /"x" for --sizes/],
  ["bench --duration x", /"x" for --duration/],
  ["bench --clients 0", /"0" for --clients/],
  ["bench --mix x", /"x" for --mix/],
  ["login nonsense", /must look like tydfs:\/\//],
  [`login ${NOWHERE} --name a/b`, /"a\/b" as the name of a connection/],
  ["config show nope", /there is no such setting/],
  ["config check /none", /there is no such file/],
  ["master --port x", /"x" for "port"/],
  ["master --port 99999", /the most is 65535/],
  ["master --trackers 0", /the least is 1/],
  ["master --chunk-size 1500000", /multiple of 1 MiB/],
  ["master --dead-after soon", /"soon" for "dead_after"/],
  ["master --safe-share 200", /the most is 100/],
  ["master --balance-threshold x", /"x" for "balance_threshold"/],
  ["keeper --scrub-period x", /"x" for "scrub_period"/],
  ["keeper --reserve x", /"x" for "reserve"/],
  ["keeper --slots 99", /the most is 16/],
  ["keeper --label zone", /"zone" is not KEY=VALUE/],
  ["keeper --streamers 0", /the least is 1/],
];

test("what is malformed is named with its value", async () => {
  expect(await notRefused(MALFORMED.map(([line, words]) => [line.split(" "), words]))).toEqual([]);
}, 60_000);

const CONTRADICTORY: [string, RegExp][] = [
  ["head -n 1 -c 1 /a", /--bytes and --lines together/],
  ["du -s --depth 1 /", /--summarize and --depth together/],
  ["ls -S -t /", /both by --size and by --time/],
  ["undelete /a /b --version 3", /--version with several paths/],
  ["drain k --stop --follow", /--stop and --follow together/],
  ["rebalance --stop --dry-run", /more than one of --dry-run, --stop and --follow/],
  ["status --if-lost k --watch", /--if-lost with --watch/],
  ["status --all --watch", /--all with --watch/],
  ["rescue /x --list --to y", /--to and --list together/],
  ["rescue /x --to /x/y", /nothing is written into a keeper's directory/],
  ["master --dry-run", /--dry-run goes with --recover only/],
  ["master --recover-wait 5s", /--recover-wait goes with --recover only/],
  ["status --once --watch", /--watch or --once/],
  ["put - a /x", /standard input together with files/],
  ["put --replicas 1 --min-copies 2 a", /--min-copies 2 with --replicas 1/],
  ["put --exclude x a", /./],
  ["sync a b", /./],
  ["sync :/a :/b", /./],
  ["sync --force a :/b", /./],
  ["master --replicas 2 --min-copies 3", /"replicas" is 2 \(flag --replicas\)/],
];

test("what contradicts itself is refused before anything is done", async () => {
  const table = CONTRADICTORY.map(([line, words]) => [line.split(" "), words] as const);
  expect(await notRefused(table)).toEqual([]);
}, 60_000);

const LONG = "x".repeat(100_000);

test("control characters and words without end never reach the terminal", async () => {
  const escape = "no\x1b[31m\u009bpe\u202e";
  expect(
    await notRefused([
      [[escape], /Unknown command 'no\\u001b\[31m\\u009bpe\\u202e'/],
      [["ls", `--${escape}`], /Unknown option/],
      [["help", escape], /there is no such command/],
      [["head", "-n", escape, "/a"], /for --lines/],
      [["ls", "--wait", escape], /for "wait"/],
      [[LONG], /Unknown command 'x+ … /],
      [["ls", "--wait", LONG], /for "wait"/],
      [["ls", "--as", LONG], /it has over 255 bytes/],
      [["ls", "--config", LONG], /Cannot read the configuration/],
      [["completion", LONG], /must be one of/],
    ]),
  ).toEqual([]);
}, 60_000);

test("a configuration file is wrong with its line, whichever command reads it", async () => {
  const file = join(home, "wrong.toml");
  writeFileSync(file, 'wait = "3s"\n\nreplicsa = 2\n');
  expect(
    await notRefused([
      ...["ls", "master", "keeper", "status"].map((name) => {
        return [[name, "--config", file], /"replicsa".*line 3; did you mean "replicas"\?/] as const;
      }),
      [["config", "check", file], /line 3/],
    ]),
  ).toEqual([]);
}, 60_000);

test("errors leave stdout empty with --json, too", async () => {
  for (
    const line of [
      "ls /",
      "stat /a",
      "status",
      "trash ls",
      "drain k",
      "scrub",
      "fsck",
      "rebalance",
      "put /none",
      "rm /a",
      "du",
      "find /",
    ]
  ) {
    const { exit, stdout, stderr } = await run([...line.split(" "), "--json"]);
    expect([line, stdout, exit]).toEqual([line, "", 5]);
    expect(stderr).toMatch(/^tydfs: Cannot reach a master at 127\.0\.0\.1:1: [^\n]*\n$/);
  }
}, 60_000);
