/**
 * Orders about several small files of one directory at once: put in packs, or got out of them, by
 * the library or by a command. Each file has an outcome of its own, as far as anybody told it.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { TydfsClient } from "../../src/client/client.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import {
  type Answer,
  failure,
  type FileOutcome,
  type Order,
  runCommand,
  sum,
  writeContent,
} from "./client_process.ts";
import { Content } from "./content.ts";

/** Carries out `put-many` or `get-many`; local files lie below `place`, which goes afterwards. */
export async function performMany(
  client: TydfsClient,
  order: Order,
  { place, signal }: { place: string; signal: AbortSignal },
): Promise<Partial<Answer>> {
  mkdirSync(place, { recursive: true });
  try {
    if (order.kind === "put-many") return { files: await putMany(client, order, place, signal) };
    return { files: await getMany(client, order, place, signal) };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function putMany(
  client: TydfsClient,
  { path: directory, files = [], how }: Order,
  place: string,
  signal: AbortSignal,
): Promise<FileOutcome[]> {
  const pairs = files.map(({ path, name = "", sizeBytes = 0 }) => {
    const local = join(place, basename(path));
    writeContent(local, new Content(name, sizeBytes));
    return { local, remote: path };
  });
  if (how === "command") {
    const args = ["put", "-r", "--wait", "8s", `${place}/.`, `${directory}/`];
    const error = await complaintOf(runCommand(args, signal));
    return files.map(() => error ?? { ok: true });
  }
  if (how === "singles") {
    return await eachOf(pairs, signal, async ({ local, remote }) => {
      await client.put(local, remote, { signal });
      return { ok: true };
    });
  }
  const outcomes = await client.putMany(pairs, { signal });
  return outcomes.map((outcome) => {
    return outcome instanceof TydfsError ? failure(0, outcome) : { ok: true };
  });
}

async function getMany(
  client: TydfsClient,
  { path: directory, files = [], how }: Order,
  place: string,
  signal: AbortSignal,
): Promise<FileOutcome[]> {
  const target = join(place, "back");
  const pairs = files.map(({ path }) => ({ remote: path, local: join(target, basename(path)) }));
  if (how === "command") {
    const args = ["get", "-r", "--wait", "8s", directory, target];
    const error = await complaintOf(runCommand(args, signal));
    if (error !== undefined) return files.map(() => error);
  } else if (how === "singles") {
    return await eachOf(pairs, signal, async ({ remote, local }) => {
      await client.get(remote, local, { signal, exact: true });
      return await sumFile(local);
    });
  } else {
    mkdirSync(target);
    const results = await client.getMany(pairs, { signal });
    const errors = await Promise.all(results.map(async (result, index) => {
      const pair = pairs[index];
      if (result !== undefined || pair === undefined) return undefined;
      try {
        await client.get(pair.remote, pair.local, { signal, exact: true });
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        return failure(0, error);
      }
    }));
    return await Promise.all(pairs.map(({ local }, index) => errors[index] ?? sumFile(local)));
  }
  return await Promise.all(pairs.map(({ local }) => sumFile(local)));
}

/** Does each by itself, all at once: the client may still gather them. */
function eachOf<T>(
  items: readonly T[],
  signal: AbortSignal,
  perform: (item: T) => Promise<FileOutcome>,
): Promise<FileOutcome[]> {
  return Promise.all(items.map(async (item) => {
    try {
      return await perform(item);
    } catch (error) {
      signal.throwIfAborted();
      return failure(0, error);
    }
  }));
}

/** What came, or that the listing of the directory has not had it. */
async function sumFile(local: string): Promise<FileOutcome> {
  if (!existsSync(local)) {
    return { ok: false, code: "not-found", message: `${basename(dirname(local))} has it not` };
  }
  return { ok: true, ...await sum(Bun.file(local).stream()) };
}

/**
 * What a command about a tree complains of. It does not tell of each file what has become of it:
 * all of them are in doubt then.
 */
async function complaintOf(said: Promise<string>): Promise<FileOutcome | undefined> {
  try {
    await said;
    return undefined;
  } catch (error) {
    return { ...failure(0, error), code: "timeout" };
  }
}
