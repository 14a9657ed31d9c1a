/** Events from a real cluster: printed, and acted upon by commands that are killed and fail. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
let source: string;
beforeAll(async () => {
  cluster = await TestCluster.start();
  source = cluster.file("source", 1000);
}, 60_000);
afterAll(() => cluster.stop());

const env = () => ({ XDG_STATE_HOME: join(cluster.dir, "state") });

/** The lines of a file that commands append to. */
function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
}

/** A command line that appends the event's kind and path to a file. */
function noting(path: string): string[] {
  return ["sh", "-c", `echo "$TYDFS_EVENT_KIND {}" >> ${path}`];
}

/** Starts `tydfs on`; it hears what happens when this returns. */
async function startOn(...args: string[]) {
  const child = cluster.spawn(["on", "--json", ...args], { env: env() });
  const events: Record<string, unknown>[] = [];
  void (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line)));
    }
  })();
  await until("it follows", () => events.some(({ kind }) => kind === "following"));
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return await child.exited;
  };
  return { events, end, child };
}

test("events prints what happens as JSON lines, of the wanted kinds and paths", async () => {
  const child = cluster.spawn(["events", "--json", "--kind", "put,renamed", "ev/**"]);
  let printed = "";
  const gather = async (
    stream: ReadableStream<Uint8Array>,
    add: (text: string) => void,
  ): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) add(decoder.decode(bytes, { stream: true }));
  };
  const read = gather(child.stdout, (text) => printed += text);
  // What happens before they listen is not heard: put until each has heard one.
  const all = cluster.spawn(["events"]);
  let heard = "";
  void gather(all.stdout, (text) => heard += text);
  let n = 0;
  await until("both listen", async () => {
    await cluster.ok("put", source, `/ev/first-${n++}`);
    return heard.includes("/ev/first-") && printed.includes("/ev/first-");
  });
  await cluster.ok("put", source, "/elsewhere");
  await cluster.ok("put", source, "/ev/a");
  await cluster.ok("put", source, "/ev/a");
  await cluster.ok("mv", "/ev/a", "/b");
  await cluster.ok("put", source, "/ev/last");
  await until("the last is heard", () => heard.includes("/ev/last"));
  for (const each of [child, all]) each.kill("SIGINT");
  expect(await child.exited).toBe(130);
  await read;
  const lines = printed.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  const told = lines.map(({ kind, path, to }) =>
    `${kind} ${path}${to === undefined ? "" : ` ${to}`}`
  )
    .filter((line) => !line.includes("first-"));
  expect(told).toEqual(["put /ev/a", "renamed /ev/a /b", "put /ev/last"]);
  expect(lines.at(-1)).toMatchObject({ kind: "put", size: 1000 });
  expect(heard).toMatch(/^\d\d:\d\d:\d\d replaced "\/ev\/a" \(1000 B, /m);
}, 60_000);

test("events ends when nobody reads it any more", async () => {
  const child = cluster.spawn(["events", "--json"]);
  await child.stdout.cancel();
  await until("it has ended", async () => {
    await cluster.ok("put", source, "/unread");
    return child.exitCode !== null;
  });
  expect(child.exitCode).toBe(0);
}, 60_000);

test("on runs its command once for each file, in order", async () => {
  const notes = join(cluster.dir, "once.txt");
  const on = await startOn("put", "/on/**", "--", ...noting(notes));
  for (const name of ["a", "b", "c"]) await cluster.ok("put", source, `/on/${name}`);
  await cluster.ok("put", source, "/on/a");
  await cluster.ok("rm", "/on/b");
  await cluster.ok("put", source, "/on/last one");
  await until("the last is noted", () => linesOf(notes).includes("put /on/last one"));
  expect(await on.end("SIGINT")).toBe(130);
  expect(linesOf(notes)).toEqual([
    ...["put /on/a", "put /on/b", "put /on/c", "replaced /on/a", "put /on/last one"],
  ]);
}, 60_000);

test("on misses nothing that happens while it is killed, or its command", async () => {
  const notes = join(cluster.dir, "killed.txt");
  const gate = join(cluster.dir, "gate");
  // It notes the file at its end: one that is killed before has done nothing.
  const script = `while [ ! -e ${gate} ]; do sleep 0.05; done; echo "$1" >> ${notes}`;
  const args = ["put", "/killed/**", "--", "sh", "-c", script, "sh", "{}"];
  const first = await startOn(...args);
  for (let n = 0; n < 5; n++) await cluster.ok("put", source, `/killed/${n}`);
  await first.end("SIGKILL");
  for (let n = 5; n < 10; n++) await cluster.ok("put", source, `/killed/${n}`);
  writeFileSync(gate, "");
  const second = await startOn(...args);
  expect(second.events[0]).toMatchObject({ resumed: true });
  await until("the last is noted", () => linesOf(notes).includes("/killed/9"));
  await second.end("SIGINT");
  // The one that was killed leaves a shell that may have noted its file, too: at least once.
  expect([...new Set(linesOf(notes))].sort()).toEqual(
    Array.from({ length: 10 }, (_, n) => `/killed/${n}`),
  );
  expect(linesOf(notes).length).toBeLessThanOrEqual(11);
}, 60_000);

test("on tries a failing command again, and then goes on or stops", async () => {
  const tries = join(cluster.dir, "tries.txt");
  // Fails for /fail/bad, and the first time for the others.
  const script = `echo "$1" >> ${tries}; [ "$1" != /fail/bad ] && ` +
    `[ "$(grep -cx "$1" ${tries})" -gt 1 ]`;
  const command = ["--", "sh", "-c", script, "sh", "{}"];
  await cluster.ok("put", source, "/fail/a");
  await cluster.ok("put", source, "/fail/bad");
  await cluster.ok("put", source, "/fail/z");
  const flags = ["put", "/fail/*", "--from-start", "--once", "--retries", "1"];
  const stop = ["on", ...flags, "--name", "stops", "--stop-on-failure", ...command];
  const stopped = await cluster.run(stop, { env: env() });
  expect(stopped.exit).toBe(1);
  expect(stopped.stderr).toContain(
    'Cannot handle put "/fail/bad": the command ended with status 1',
  );
  expect(linesOf(tries)).toEqual(["/fail/a", "/fail/a", "/fail/bad", "/fail/bad"]);
  writeFileSync(tries, "");
  const goesOn = await cluster.run(["on", ...flags, "--name", "stops", ...command], { env: env() });
  expect(goesOn.exit).toBe(1);
  expect(goesOn.stderr).toContain("given up after 2 tries");
  expect(linesOf(tries)).toEqual(["/fail/bad", "/fail/bad", "/fail/z", "/fail/z"]);
  const done = await cluster.run(["on", ...flags, "--name", "stops", ...command], { env: env() });
  expect(done.exit).toBe(0);
}, 60_000);

test("on ends its command with itself, and runs it again", async () => {
  const notes = join(cluster.dir, "ended.txt");
  const script = `echo begun >> ${notes}; trap 'echo ended >> ${notes}; exit 0' TERM; ` +
    "while :; do sleep 0.05; done";
  const args = ["put", "/ended/**", "--", "sh", "-c", script];
  const on = await startOn(...args);
  await cluster.ok("put", source, "/ended/a");
  await until("it has begun", () => linesOf(notes).includes("begun"));
  expect(await on.end("SIGINT")).toBe(130);
  expect(linesOf(notes)).toEqual(["begun", "ended"]);
  const again = await startOn(...args);
  await until("it has begun again", () => linesOf(notes).length === 3);
  await again.end("SIGTERM");
}, 60_000);

test("on goes on when the master is back, and says no to a second one", async () => {
  const notes = join(cluster.dir, "back.txt");
  const args = ["put", "/back/**", "--", ...noting(notes)];
  const on = await startOn(...args);
  const second = await cluster.run(["on", ...args], { env: env() });
  expect(second.exit).toBe(4);
  expect(second.stderr).toContain("give this one another --name");
  await cluster.killMaster();
  await cluster.startMaster();
  await cluster.untilAlive(3);
  await cluster.ok("put", source, "/back/a");
  await until("it is noted", () => linesOf(notes).includes("put /back/a"));
  await on.end("SIGINT");
}, 90_000);
