/**
 * The shell and the completion of bash as people meet them: the binary, a real cluster, and a real
 * terminal (a pseudo-terminal of Bun's).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BINARY, TestCluster } from "./harness.ts";
import { Screen } from "./screen.ts";

let cluster: TestCluster;
let home = "";
let local = "";

beforeAll(async () => {
  cluster = await TestCluster.start({ keepers: 2, env: { TYDFS_REPLICAS: "2" } });
  home = join(cluster.dir, "home");
  local = join(cluster.dir, "local");
  for (const directory of [home, local]) mkdirSync(directory);
  for (const name of ["a one.txt", "b.txt"]) writeFileSync(join(local, name), name);
  await cluster.ok("mkdir", "-p", "/videos/sub", "/my films/new");
  for (
    const [name, remote] of [
      ["a one.txt", "/videos/a one.txt"],
      ["b.txt", "/videos/b.txt"],
      ["b.txt", '/videos/it\'s $x & "y".txt'],
      ["b.txt", "/videos/c:d=e@f.txt"],
    ] as const
  ) await cluster.ok("put", join(local, name), remote);
});
afterAll(() => cluster.stop());

async function script(text: string, ...flags: string[]) {
  const stdin = new Blob([text]);
  return await cluster.run(["shell", ...flags], { stdin, cwd: local, env: { HOME: home } });
}

test("shell runs the lines of its input in one remote directory", async () => {
  const { exit, stdout, stderr } = await script(
    "mkdir /s; cd /s\npwd\nput *.txt new/\ntydfs ls -R .\n# a comment\ncd new\nput 'b.txt'\n" +
      "get a\\ one.txt back.txt\nmv b.txt ../c.txt\ncd ..\nls; lpwd",
  );
  expect(stderr).toBe("");
  expect(exit).toBe(0);
  const lines = stdout.split("\n").filter((line) => !/^(put|got) /.test(line));
  expect(lines).toEqual([
    ...["/s", "/s/new/", "/s/new/a one.txt", "/s/new/b.txt"],
    ...["c.txt", "new/", local, ""],
  ]);
  expect(readFileSync(join(local, "back.txt"), "utf8")).toBe("a one.txt");
});

test("shell ends at the first failure with its status, or goes on when told", async () => {
  const stopped = await script("ls /nope\npwd\n");
  expect(stopped).toMatchObject({ exit: 3, stdout: "" });
  expect(stopped.stderr).toContain("tydfs: Stopped at line 1; --keep-going goes on");
  const all = await script("ls /nope\npwd\ncat\n", "--keep-going");
  expect(all).toMatchObject({ exit: 3, stdout: "/\n" });
  const line = await cluster.run(["shell", "-c", "cd /videos; ls sub; nope; pwd"]);
  expect(line.exit).toBe(2);
  expect(line.stdout).toBe("");
});

test("shell refuses what would take its input, and roles", async () => {
  for (
    const [line, words] of [
      ["put - /x", "Cannot put standard input from the shell"],
      ["master", 'Cannot run "master" in the shell'],
      ["ls | wc", 'this shell has no "|"'],
      ["ls 'a", "the quote ' is not closed"],
      ["cd /videos/b.txt", 'Cannot change to "/videos/b.txt": it is a file'],
      ["lcd /none", 'Cannot change to "/none": there is no such directory'],
    ] as const
  ) {
    const { exit, stderr } = await script(line);
    expect(exit).toBeGreaterThan(0);
    expect(stderr).toContain(words);
  }
});

test("shell runs all its commands over one connection", async () => {
  let connections = 0;
  const { hostname, port } = new URL(cluster.clientUrl.replace("tydfs:", "http:"));
  const proxy = Bun.listen<{ there: Promise<Bun.Socket> }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        connections++;
        const there = Bun.connect({
          hostname,
          port: Number(port),
          socket: {
            data: (_there, bytes) => void socket.write(bytes),
            close: () => void socket.end(),
          },
        });
        socket.data = { there };
      },
      data: async (socket, bytes) => {
        const copy = Uint8Array.from(bytes);
        (await socket.data.there).write(copy);
      },
      close: async (socket) => void (await socket.data.there).end(),
    },
  });
  try {
    const url = cluster.clientUrl.replace(/:\d+$/, `:${proxy.port}`);
    const lines = ["stat /videos/b.txt", "ls --as ann /", "cd /videos", "ls --wait 3s", "status"];
    const { exit } = await cluster.run(["shell", "-c", lines.join("; ")], {
      env: { TYDFS_URL: url },
    });
    expect(exit).toBe(0);
    expect(connections).toBe(1);
  } finally {
    proxy.stop(true);
  }
});

test("a name that is not there is answered with one like it", async () => {
  for (
    const [command, path, similar] of [
      ["stat", "/videos/B.txt", "/videos/b.txt"],
      ["ls", "/vidoes/a", "/videos"],
      ["get", "/videos/b.tx", "/videos/b.txt"],
    ] as const
  ) {
    const { exit, stderr } = await cluster.run([command, path]);
    expect(exit).toBe(3);
    expect(stderr).toEndWith(`: no such file or directory; did you mean "${similar}"?\n`);
  }
  const { stderr } = await cluster.run(["stat", "/videos/zzzzzz"]);
  expect(stderr).not.toContain("did you mean");
});

test("shell on a terminal: prompt, completion, questions, Ctrl-C, history", async () => {
  const env = { TYDFS_URL: cluster.clientUrl, HOME: home, XDG_STATE_HOME: "" };
  const screen = new Screen([BINARY, "shell"], { cwd: local, env });
  try {
    await screen.shows("tydfs:/> ");
    screen.type("cd vid\t");
    await screen.shows("eos/");
    screen.type("\r");
    await screen.shows("tydfs:/videos> ");
    screen.type("cat a\t");
    await screen.shows("a\\ one.txt ");
    screen.type("\r");
    await screen.shows("a one.txttydfs:/videos> ");
    screen.type("status --watch\r");
    await screen.shows("All is well");
    screen.type("\x03");
    await screen.shows("tydfs:/videos> ");
    screen.type("half a line\x03");
    await screen.shows("^C\r\ntydfs:/videos> ");
    screen.type("nope\r");
    await screen.shows("Unknown command 'nope'");
    await screen.shows("tydfs:/videos> ");
    screen.type("put\r");
    await screen.shows("Local path: ");
    screen.type("b.t\t");
    await screen.shows("xt ");
    screen.type("\r");
    await screen.shows("Remote path (or Enter: the remote directory): ");
    screen.type("su\t");
    await screen.shows("b/");
    screen.type("\r");
    await screen.shows('put "/videos/sub/b.txt"');
    await screen.shows("tydfs:/videos> ");
    screen.type("!echo from $((1 + 1)) shells\r");
    await screen.shows("from 2 shells");
    await screen.shows("tydfs:/videos> ");
    screen.type("\x04");
    expect(await screen.exit()).toBe(0);
  } finally {
    screen.close();
  }
  const history = join(home, ".local/state/tydfs/shell_history");
  expect(statSync(history).mode & 0o777).toBe(0o600);
  expect(readFileSync(history, "utf8").split("\n").slice(0, 4)).toEqual([
    ...["cd videos/", "cat a\\ one.txt ", "status --watch", "nope"],
  ]);
});

test("shell tells at once of a cluster that can't be reached", async () => {
  const url = "tydfs://client:secret@127.0.0.1:1";
  const { exit, stderr } = await cluster.run(["shell", "-c", "pwd"], { env: { TYDFS_URL: url } });
  expect(exit).toBe(5);
  expect(stderr).toContain("Cannot reach a master at 127.0.0.1:1");
});

test("login checks, saves, and the saved connection is joined by name or as the default", async () => {
  const env = { HOME: join(cluster.dir, "other home"), TYDFS_URL: "", XDG_CONFIG_HOME: "" };
  const wrong = cluster.clientUrl.replace("@", "x@");
  const refused = await cluster.run(["login", wrong, "--name", "home"], { env });
  expect(refused.exit).toBe(8);
  expect(existsSync(join(env.HOME, ".config/tydfs/clusters.toml"))).toBe(false);
  const stdin = new Blob([`${cluster.clientUrl}\n`]);
  const saved = await cluster.run(["login", "-", "--name", "home"], { env, stdin });
  expect(saved.stdout).toContain("cluster main, 2 keepers alive · the default");
  expect((await cluster.run(["ls", "/"], { env })).stdout).toContain("videos/");
  expect((await cluster.run(["ls", "--cluster", "home", "/"], { env })).exit).toBe(0);
  const shown = await cluster.run(["config", "show", "--json", "url"], { env });
  expect(JSON.parse(shown.stdout).url.from).toBe('saved connection "home" (the default one)');
});

test("__complete prints names, and is silent whatever fails", async () => {
  expect(await cluster.ok("__complete", "remote", "/vid")).toBe("/videos/\n");
  expect(await cluster.ok("__complete", "remote", "my")).toBe("my films/\n");
  expect(await cluster.ok("__complete", "--quoted", "remote", '"/my films/')).toBe(
    "/my films/new/\n",
  );
  expect(await cluster.ok("__complete", "remote", "/videos/b.txt/")).toBe("");
  expect(await cluster.ok("__complete", "keeper", "keeper-")).toBe("keeper-1\nkeeper-2\n");
  expect(await cluster.ok("__complete", "--quoted", "keeper", '"keeper-2')).toBe("keeper-2\n");
  for (const url of ["", "nonsense", "tydfs://client:x@127.0.0.1:1", `${cluster.clientUrl}/no`]) {
    const silent = await cluster.run(["__complete", "remote", "/"], { env: { TYDFS_URL: url } });
    expect(silent).toMatchObject({ exit: 0, stdout: "", stderr: "" });
  }
});

/** Lines with a Tab and Enter behind them, and the words that bash then calls tydfs with. */
const TABS: [string, string[]][] = [
  ["tydfs stat /vid", ["stat", "/videos/"]],
  ["tydfs get /videos/a", ["get", "/videos/a one.txt"]],
  ['tydfs get "/videos/a', ["get", "/videos/a one.txt"]],
  ["tydfs get '/videos/a", ["get", "/videos/a one.txt"]],
  ["tydfs get /videos/a\\ o", ["get", "/videos/a one.txt"]],
  ["tydfs stat /videos/c:d", ["stat", "/videos/c:d=e@f.txt"]],
  ["tydfs stat /videos/c:d=e@", ["stat", "/videos/c:d=e@f.txt"]],
  ["tydfs stat /videos/it", ["stat", '/videos/it\'s $x & "y".txt']],
  ["tydfs put b.t", ["put", "b.txt"]],
  ["tydfs put b.txt /my", ["put", "b.txt", "/my films/"]],
  ["tydfs mkd", ["mkdir"]],
  ["tydfs drain k", ["drain", "keeper-"]],
  ["tydfs scrub k", ["scrub", "keeper-"]],
  ["tydfs scrub /vid", ["scrub", "/videos/"]],
  ["tydfs status --if-lost k", ["status", "--if-lost", "keeper-"]],
  ["tydfs ls --rec", ["ls", "--recursive"]],
  ["tydfs --url nonsense ls /vid", ["--url", "nonsense", "ls", "/vid"]],
];

test("bash completes names as they must be quoted", async () => {
  const bin = join(cluster.dir, "bin");
  mkdirSync(bin);
  symlinkSync(BINARY, join(bin, "tydfs"));
  const rc = join(cluster.dir, "bashrc");
  const show = `tydfs() {
  if [[ $1 == __complete ]]; then command tydfs "$@"; else printf '<%s>' "$@"; echo .; fi
}`;
  writeFileSync(rc, `PS1='ready> '\n${await cluster.ok("completion", "bash")}\n${show}\n`);
  const env = {
    PATH: `${bin}:${process.env["PATH"]}`,
    TYDFS_URL: cluster.clientUrl,
    HOME: home,
    LC_ALL: "C.UTF-8",
  };
  const screen = new Screen(["bash", "--noprofile", "--rcfile", rc, "-i"], { cwd: local, env });
  try {
    await screen.shows("ready> ");
    for (const [line, words] of TABS) {
      screen.type(`${line}\t\r`);
      await screen.shows(`${words.map((word) => `<${word}>`).join("")}.`);
      await screen.shows("ready> ");
    }
  } finally {
    screen.close();
  }
});
