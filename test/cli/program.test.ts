/** The command line as people get it wrong, and as they ask for help. */
import { expect, test } from "bun:test";
import { runCli } from "../../src/cli/program.ts";
import { flagName, OPTIONS } from "../../src/config/options.ts";
import { FakeOutput } from "./fake_output.ts";

const COMMANDS = [
  "master",
  "keeper",
  "put",
  "get",
  "sync",
  "cat",
  "head",
  "tail",
  "ls",
  "find",
  "du",
  "stat",
  "cp",
  "mv",
  "rm",
  "undelete",
  "mkdir",
  "watch",
  "events",
  "on",
  "status",
  "scrub",
  "drain",
  "rebalance",
  "top",
  "fsck",
  "rescue",
  "bench",
  "service",
  "version",
];
const UNREACHABLE = { TYDFS_URL: "tydfs://client:secret@127.0.0.1:1" };

async function run(words: string[], env: Record<string, string> = {}) {
  const output = new FakeOutput();
  const status = await runCli(words, env, output);
  return { status, output, lines: output.lines.join("\n"), messages: output.messages.join("\n") };
}

const WRONG: [string, RegExp][] = [
  ["gt a", /^tydfs: Unknown command 'gt' \(Did you mean get\?\)/],
  ["ls --recursiv", /^tydfs: Unknown option '--recursiv' \(Did you mean --recursive\?\)/],
  ["put", /^tydfs: Missing required argument 'LOCAL'/],
  ["mv", /^tydfs: Missing required argument 'FROM'/],
  ["mv /a", /^tydfs: Cannot move "\/a": say where to, too/],
  ["cp /a", /^tydfs: Cannot copy "\/a": say where to, too/],
  ["cat", /^tydfs: Missing required argument 'PATH'/],
  ["cat --range 5 /a", /^tydfs: Cannot use "5" for --range: it is not FIRST-LAST/],
  ["cat --range 5-2 /a", /^tydfs: Cannot use "5-2" for --range: it ends before it begins/],
  ["head -n x /a", /^tydfs: Cannot use "x" for --lines: no whole number/],
  ["tail -c x /a", /^tydfs: Cannot use "x" for --bytes: no size/],
  ["head -n 1 -c 1 /a", /^tydfs: Cannot use --bytes and --lines together/],
  ["du -s --depth 1", /^tydfs: Cannot use --summarize and --depth together/],
  ["du --depth x", /^tydfs: Cannot use "x" for --depth: no whole number/],
  ["find / --type x", /^tydfs: Cannot use "x" for --type: it is not f, d or l/],
  ["find / -name x", /^tydfs: Unknown option '-name' \(Did you mean --name\?\)/],
  ["undelete", /^tydfs: Missing required argument 'PATH'/],
  ["undelete /a --version x", /^tydfs: Cannot use "x" for --version: no whole number/],
  ["undelete /a /b --version 3", /^tydfs: Cannot use --version with several paths/],
  ["undelete '/a*' --version 3", /^tydfs: Cannot use --version with a pattern/],
  ["trash empt", /^tydfs: Unknown command 'empt' \(Did you mean empty\?\)/],
  ["cat --json /a", /^tydfs: Unknown option '--json'/],
  ["head -5", /^tydfs: Missing required argument 'PATH'/],
  ["tail -5 -c 1 /a", /^tydfs: Cannot use --bytes and --lines together/],
  ["find / --size big", /^tydfs: Cannot use "big" for --size: it is no size/],
  ["find / --newer soon", /^tydfs: Cannot use "soon" for --newer: it is no age/],
  ["rescue /x", /^tydfs: Cannot rescue: say where to \(--to DIR\), or only --list/],
  ["rescue /x --to /x/y", /^tydfs: Cannot write to "\/x\/y": nothing is written into a keeper/],
  ["drain", /^tydfs: Missing required argument 'KEEPER'/],
  ["drain k --stop --follow", /^tydfs: Cannot use --stop and --follow together/],
  ["rebalance --stop --dry-run", /^tydfs: Cannot use more than one of --dry-run, --stop/],
  ["keeper remove", /^tydfs: Missing required argument 'KEEPER'/],
  ["keeper lst", /^tydfs: /],
  ["status /a b", /^tydfs: Too many arguments/],
  ["version --wait 3s", /^tydfs: Unknown option '--wait'/],
  ["master --parallel 3", /^tydfs: Unknown option '--parallel'/],
  ["ls", /^tydfs: Cannot join a cluster: no URL is given; set TYDFS_URL, give --url/],
  ["keeper", /^tydfs: Cannot join a cluster/],
  ["put -", /^tydfs: Cannot put standard input without a name/],
  ["put - /a/", /^tydfs: Cannot put standard input into "\/a\/": it has no name/],
  ["ls --url nats://a", /^tydfs: Cannot use the cluster's URL: .* \(tydfs config show url tells/],
  ["ls --wait soon", /^tydfs: Cannot use "soon" for "wait" \(flag --wait\)/],
  [
    "ls --parallel 99",
    /^tydfs: Cannot use "99" for "parallel" \(flag --parallel\): the most is 32/,
  ],
  ["put a /a --replicas 0", /^tydfs: Cannot use "0" for "replicas" \(flag --replicas\)/],
  ["ls --color alwys", /^tydfs: Cannot use "alwys" for --color: .*; did you mean "always"\?/],
  ["config shw", /^tydfs: Unknown command 'shw' \(Did you mean show\?\); see tydfs config --help/],
  ["help putt", /^tydfs: Cannot show the help of "putt": .*; did you mean "put"\?/],
  ["master --log-level warm", /^tydfs: Cannot use "warm" .*; did you mean "warn"\?/],
  ["ls --config no-such.toml", /^tydfs: Cannot read the configuration "no-such.toml"/],
];

for (const [line, words] of WRONG) {
  test(`runCli answers "${line}" with status 2 and one line`, async () => {
    const { status, lines, output } = await run(line.split(" "));
    expect(status).toBe(2);
    expect(lines).toBe("");
    expect(output.messages).toEqual([expect.stringMatching(words)]);
  });
}

test("runCli without a command shows the help as an error", async () => {
  const { status, messages } = await run([]);
  expect(status).toBe(2);
  expect(messages).toContain("Usage: tydfs COMMAND");
});

test("help lists all commands, examples and exit statuses", async () => {
  const { status, lines } = await run(["--help"]);
  expect(status).toBe(0);
  for (const command of COMMANDS) expect(lines).toMatch(new RegExp(`^  ${command}\\b`, "m"));
  expect(lines).toContain("Examples:");
  expect(lines).toMatch(/^ {2}130 {2}interrupted$/m);
});

for (const command of COMMANDS) {
  test(`help of ${command} has its settings and at least two examples`, async () => {
    const { status, lines } = await run([command, "--help"]);
    expect(status).toBe(0);
    const examples = lines.slice(lines.indexOf("Examples:"));
    expect(examples.match(new RegExp(`tydfs ${command}`, "g"))?.length).toBeGreaterThanOrEqual(2);
    const user = command === "master" || command === "keeper" ? command : "client";
    if (["version", "service", "rescue"].includes(command)) return;
    for (const [key, { for: users }] of Object.entries(OPTIONS)) {
      const flag = flagName(key as keyof typeof OPTIONS);
      if ((users as readonly string[]).includes(user)) expect(lines).toContain(flag);
    }
  });
}

test("version prints one JSON value with --json, before and after the command", async () => {
  for (const words of [["version", "--json"], ["--json", "version"], ["--version", "--json"]]) {
    const { status, lines } = await run(words);
    expect(status).toBe(0);
    expect(JSON.parse(lines)).toMatchObject({ version: expect.any(String), bun: Bun.version });
  }
});

test(
  "a cluster that can't be reached is waited for within 5 s, then one line and status 5",
  async () => {
    const startMs = performance.now();
    const { status, output } = await run(["stat", "/a"], UNREACHABLE);
    expect(status).toBe(5);
    expect(output.messages).toEqual([
      expect.stringMatching(/^tydfs: Cannot reach a master at 127\.0\.0\.1:1: /),
    ]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  },
  15_000,
);

test("a URL that is none is one line that does not repeat the secret", async () => {
  const { status, output } = await run(["ls"], { TYDFS_URL: "http://client:secret@x" });
  expect(status).toBe(2);
  expect(output.messages.length).toBe(1);
  expect(output.messages[0]).not.toContain("secret@");
});
