/**
 * The history of a cluster as its clients saw it, and the search for one order that explains it:
 * each operation at one moment between its call and its answer, one without an answer at any later
 * moment or never, one that failed never. After Wing and Gong, "Testing and Verifying Concurrent
 * Objects" (1993), with Lowe's memory of what was tried.
 */

/** What an operation asked for. */
export type Request =
  | { kind: "put"; path: string; content: string; exclusive: boolean }
  | { kind: "get"; path: string }
  | { kind: "remove"; path: string; recursive: boolean }
  | { kind: "rename"; from: string; to: string }
  | { kind: "copy"; from: string; to: string }
  | { kind: "mkdir"; path: string }
  | { kind: "undelete"; path: string }
  | { kind: "list" };

/** What it was told. `found` is a content, or for a listing all names with their contents' sizes. */
export type Outcome =
  | { kind: "done"; found?: string }
  | { kind: "absent" }
  | { kind: "exists" }
  /** It failed and did nothing. */
  | { kind: "failed" }
  /** Nobody said what became of it. */
  | { kind: "unknown" };

export interface Operation {
  no: number;
  client: string;
  request: Request;
  /** Moments, by which operations are ordered; no answer yet: Infinity. */
  calledAt: number;
  answeredAt: number;
  outcome: Outcome;
}

/**
 * Contents by path; of a directory `DIRECTORY`. What the trash has of a path stands at `~path`, the
 * latest at the end, with commas; it may be purged at any time.
 */
type Names = ReadonlyMap<string, string>;

export const DIRECTORY = "directory";

export class History {
  readonly operations: Operation[] = [];
  #moment = 0;

  /** Notes a call. */
  call(client: string, request: Request): Operation {
    const operation: Operation = {
      ...{ no: this.operations.length + 1, client, request },
      calledAt: ++this.#moment,
      answeredAt: Infinity,
      outcome: { kind: "unknown" },
    };
    this.operations.push(operation);
    return operation;
  }

  /** Notes its answer. */
  answer(operation: Operation, outcome: Outcome): void {
    operation.outcome = outcome;
    if (outcome.kind !== "unknown") operation.answeredAt = ++this.#moment;
  }
}

/** States that are tried before the search gives up. */
const TRIED_MAX = 200_000;

/**
 * Looks for an order that explains all answers. Undefined when there is one; else the operations of
 * the longest order that was found, and what could not follow it, in words.
 */
export function explain(
  operations: readonly Operation[],
  sizeOf: (content: string) => number,
): string | undefined {
  const relevant = operations.filter(({ outcome, request }) =>
    outcome.kind !== "failed" && !(outcome.kind === "unknown" && isLook(request))
  );
  const known = relevant.filter(({ outcome }) => outcome.kind !== "unknown");
  const tried = new Set<string>();
  let best: Operation[] = [];
  const search = (done: Set<Operation>, names: Names, order: Operation[]): boolean => {
    if (order.length > best.length) best = [...order];
    if (known.every((operation) => done.has(operation))) return true;
    const key = `${[...done].map(({ no }) => no).sort().join()}|${describe(names)}`;
    if (tried.has(key)) return false;
    tried.add(key);
    if (tried.size > TRIED_MAX) return true;
    const firstAnswer = Math.min(
      ...known.filter((operation) => !done.has(operation)).map(({ answeredAt }) => answeredAt),
    );
    for (const operation of relevant) {
      if (done.has(operation) || operation.calledAt > firstAnswer) continue;
      for (const next of follow(names, operation, sizeOf)) {
        done.add(operation);
        order.push(operation);
        if (search(done, next, order)) return true;
        order.pop();
        done.delete(operation);
      }
    }
    return false;
  };
  if (search(new Set(), new Map(), [])) return undefined;
  const left = known.filter((operation) => !best.includes(operation));
  return `no order explains the answers; the longest is ${best.map(wordsOf).join("; ")}; ` +
    `then none of ${left.map(wordsOf).join("; ")}`;
}

/** What the names may be after an operation; none when its answer can't be given now. */
function follow(
  names: Names,
  { request, outcome }: Operation,
  sizeOf: (content: string) => number,
): Names[] {
  // One without an answer may as well have found that there was nothing to do.
  const none = outcome.kind === "unknown" ? [names] : [];
  switch (request.kind) {
    case "put": {
      const isThere = names.has(request.path);
      if (outcome.kind === "exists") return isThere ? [names] : [];
      if (request.exclusive && isThere) return [];
      return [place(names, request.path, request.content)];
    }
    case "get": {
      const there = names.get(request.path);
      const told = outcome.kind === "done" ? outcome.found : undefined;
      return there === told ? [names] : [];
    }
    case "remove": {
      const isThere = names.has(request.path);
      if (outcome.kind === "absent") return isThere ? [] : [names];
      if (!isThere) return none;
      const below = [...names.keys()].filter((path) => path.startsWith(`${request.path}/`));
      return [[...below, request.path].reduce(discard, names)];
    }
    case "rename":
    case "copy": {
      const content = names.get(request.from);
      if (outcome.kind === "absent") return content === undefined ? [names] : [];
      if (content === undefined) return none;
      const rest = new Map(names);
      if (request.kind === "rename") rest.delete(request.from);
      return [place(rest, request.to, content)];
    }
    case "mkdir":
      return [new Map([...names, [request.path, DIRECTORY]])];
    case "undelete": {
      const isThere = names.has(request.path);
      if (outcome.kind === "exists") return isThere ? [names] : [];
      if (outcome.kind === "absent") return [names];
      return isThere ? none : [...none, ...restored(names, request.path)];
    }
    case "list":
      return outcome.kind === "done" && outcome.found === listingOf(names, sizeOf) ? [names] : [];
  }
}

/** A file comes to a path: its directory is there then, and what it replaces is in the trash. */
function place(names: Names, path: string, content: string): Names {
  const next = new Map(discard(names, path));
  const above = path.slice(0, path.lastIndexOf("/"));
  if (above !== "") next.set(above, DIRECTORY);
  return next.set(path, content);
}

/** What is at a path goes; a file into the trash. */
function discard(names: Names, path: string): Names {
  const content = names.get(path);
  if (content === undefined) return names;
  const next = new Map(names);
  next.delete(path);
  const trash = `~${path}`;
  if (content !== DIRECTORY) next.set(trash, [next.get(trash) ?? [], content].flat().join());
  return next;
}

/** A version comes back: the latest one, or one before it if that came just as it was chosen. */
function restored(names: Names, path: string): Names[] {
  const trash = names.get(`~${path}`)?.split(",") ?? [];
  return trash.map((content, index) => {
    const left = trash.toSpliced(index, 1);
    const next = new Map(names);
    if (left.length > 0) next.set(`~${path}`, left.join());
    else next.delete(`~${path}`);
    return place(next, path, content);
  }).reverse();
}

/** A listing in words, as both sides tell it. */
export function listingOf(names: Names, sizeOf: (content: string) => number): string {
  return [...names].filter(([path]) => !path.startsWith("~"))
    .map(([path, content]) => `${path}:${content === DIRECTORY ? DIRECTORY : sizeOf(content)}`)
    .sort().join(" ");
}

function isLook({ kind }: Request): boolean {
  return kind === "get" || kind === "list";
}

function describe(names: Names): string {
  return [...names].map(([path, content]) => `${path}=${content}`).sort().join();
}

/** An operation and its answer in words. */
export function wordsOf({ no, client, request, outcome }: Operation): string {
  const found = outcome.kind === "done" && outcome.found !== undefined ? ` ${outcome.found}` : "";
  const { kind, ...rest } = request;
  const what = Object.values(rest).map(String).join(" ");
  return `#${no} ${client} ${kind} ${what} → ${outcome.kind}${found}`;
}
