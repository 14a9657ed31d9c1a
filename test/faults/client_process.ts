/**
 * A client of the workload: a process of its own that uses the client library, told what to do by
 * lines of JSON on its standard input, so that it can live in another network namespace and be
 * killed. Each answer is one line on standard output.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TydfsClient } from "../../src/client/client.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { performMany } from "./client_many.ts";
import { Content, Summer } from "./content.ts";

/** What the workload asks of a client. */
export interface Order {
  id: number;
  kind:
    | ("put" | "get" | "remove" | "rename" | "copy" | "list" | "status" | "mkdir")
    | ("put-many" | "get-many");
  /** Of many files their directory. */
  path: string;
  to?: string;
  /** What is put. */
  name?: string;
  sizeBytes?: number;
  /** What is put together, or got. */
  files?: { path: string; name?: string; sizeBytes?: number }[];
  /** How it is put or got: from and to memory, a stream, a local file, or by a command. */
  how?: "memory" | "stream" | "file" | "command" | "singles";
  timeoutMs: number;
}

/** What has become of one file. */
export interface FileOutcome {
  ok: boolean;
  /** Of a failure: its code and words. */
  code?: string;
  message?: string;
  sizeBytes?: number;
  digest?: string;
}

/** What the client answers. */
export interface Answer extends FileOutcome {
  id: number;
  /** It failed before anything was sent. */
  untouched?: boolean;
  value?: unknown;
  /** Of many files, in the order's order. */
  files?: FileOutcome[];
}

const scratch = process.argv[2] ?? ".";
const binary = process.argv[3] ?? "tydfs";
/** What a command's exit status stands for; 1 and what is not here is nothing to expect. */
const CODES: Readonly<Record<number, string>> = {
  3: "not-found",
  5: "timeout",
  6: "busy",
  7: "lost",
  8: "expired",
};
const url = process.env["TYDFS_URL"] ?? "";
let connected: Promise<TydfsClient> | undefined;

async function connect(): Promise<TydfsClient> {
  connected ??= TydfsClient.connect({ url, owner: "chaos", waitMs: 8_000 });
  try {
    return await connected;
  } catch (error) {
    connected = undefined;
    throw error;
  }
}

async function serve(order: Order): Promise<void> {
  let client: TydfsClient;
  try {
    client = await connect();
  } catch (error) {
    return answer({ ...failure(order.id, error), untouched: true });
  }
  const signal = AbortSignal.timeout(order.timeoutMs);
  try {
    answer({ id: order.id, ok: true, ...await perform(client, order, signal) });
  } catch (error) {
    const failed = failure(order.id, error);
    answer(signal.aborted ? { ...failed, code: "timeout" } : failed);
  }
}

async function perform(
  client: TydfsClient,
  order: Order,
  signal: AbortSignal,
): Promise<Partial<Answer>> {
  const { path, to = "" } = order;
  const options = { signal };
  if (order.files !== undefined) {
    return await performMany(client, order, { place: localFile(order.id), signal });
  }
  if (order.how === "command") return await command(order, signal);
  switch (order.kind) {
    case "put":
      return await put(client, order, signal);
    case "get":
      return order.how === "file"
        ? await getFile(client, order, signal)
        : await sum(client.read(path, options));
    case "remove":
      return { value: await client.remove(path, options) };
    case "rename":
      return { value: await client.rename(path, to, { ...options, exact: true }) };
    case "copy":
      return { value: await client.copy(path, to, { ...options, exact: true }) };
    case "mkdir":
      return { value: await client.makeDirectory(path, { ...options, parents: true }) };
    case "list":
      return { value: await list(client, path, signal) };
    default:
      return { value: await client.status(options) };
  }
}

async function put(
  client: TydfsClient,
  order: Order,
  signal: AbortSignal,
): Promise<Partial<Answer>> {
  const content = new Content(order.name ?? "", order.sizeBytes ?? 0);
  const options = { signal };
  if (order.how === "memory") {
    return { value: await client.putMemory(content.bytes(), order.path, options) };
  }
  if (order.how === "stream") {
    return { value: await client.putStream(streamOf(content), order.path, options) };
  }
  const local = localFile(order.id);
  try {
    writeContent(local, content);
    return { value: await client.put(local, order.path, options) };
  } finally {
    rmSync(local, { force: true });
  }
}

async function getFile(
  client: TydfsClient,
  order: Order,
  signal: AbortSignal,
): Promise<Partial<Answer>> {
  const local = localFile(order.id);
  try {
    await client.get(order.path, local, { signal, exact: true });
    return await sum(Bun.file(local).stream());
  } finally {
    rmSync(local, { force: true });
  }
}

/** The digest of bytes that come in pieces, and their number. */
export async function sum(pieces: AsyncIterable<Uint8Array>): Promise<Partial<Answer>> {
  const summer = new Summer();
  for await (const piece of pieces) summer.add(piece);
  return { sizeBytes: summer.sizeBytes, digest: summer.digest() };
}

/** The same by a command of its own, which dies with this process. */
async function command(order: Order, signal: AbortSignal): Promise<Partial<Answer>> {
  const local = localFile(order.id);
  try {
    if (order.kind === "put") {
      writeContent(local, new Content(order.name ?? "", order.sizeBytes ?? 0));
      return { value: await runCommand(["put", "--wait", "8s", local, order.path], signal) };
    }
    if (order.kind === "remove") return { value: await runCommand(["rm", order.path], signal) };
    await runCommand(["get", "--wait", "8s", order.path, local], signal);
    return await sum(Bun.file(local).stream());
  } finally {
    rmSync(local, { force: true });
  }
}

/** Runs a command that dies with this process. Throws its words, with a `code`. */
export async function runCommand(args: string[], signal: AbortSignal): Promise<string> {
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", binary, ...args], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "pipe", signal, killSignal: "SIGKILL" },
  });
  const said = (await new Response(child.stderr).text()).trim();
  const exit = await child.exited;
  if (exit === 0) return said;
  const code = CODES[exit] ?? `exit ${exit}`;
  throw Object.assign(new Error(`${args[0]} → ${exit}: ${said}`), { code });
}

async function list(
  client: TydfsClient,
  path: string,
  signal: AbortSignal,
): Promise<{ path: string; size: number; checksum: string }[]> {
  const entries = [];
  for await (const entry of client.list(path, { signal, recursive: true })) {
    if (entry.kind === "directory") continue;
    entries.push({ path: entry.path, size: entry.size, checksum: entry.checksum });
  }
  return entries;
}

async function* streamOf(content: Content): AsyncGenerator<Uint8Array> {
  yield* content.blocks();
}

/** Makes a local file of a content. */
export function writeContent(local: string, content: Content): void {
  const fd = openSync(local, "w");
  try {
    for (const block of content.blocks()) writeSync(fd, block);
  } finally {
    closeSync(fd);
  }
}

function localFile(id: number): string {
  return join(scratch, `op-${process.pid}-${id}`);
}

/** An error as an answer. */
export function failure(id: number, error: unknown): Answer {
  const own = (error as { code?: unknown }).code;
  const code = error instanceof TydfsError ? error.code : String(own ?? "foreign");
  const message = error instanceof Error ? error.message : String(error);
  return { id, ok: false, code, message };
}

function answer(value: Answer): void {
  process.stdout.write(JSON.stringify(value) + "\n");
}

if (import.meta.main) {
  mkdirSync(scratch, { recursive: true });
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of Bun.stdin.stream()) {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) void serve(JSON.parse(line) as Order);
  }
  process.exit(0);
}
