/**
 * What may be true of a few paths, after operations of which some ran at the same time and some got
 * no answer. A model holds every *world* that fits what was heard so far; an answer that fits none
 * of them is a violation. (Just-in-time linearization, after Lowe, "Testing for linearizability".)
 *
 * An operation without an answer stays open until `settle`: done whole at any moment since it was
 * asked for, or never.
 */

export type Operation =
  | { kind: "put"; path: string; content: string }
  | { kind: "get"; path: string }
  | { kind: "remove"; path: string }
  | { kind: "rename" | "copy"; path: string; to: string }
  | { kind: "list" };

export const DONE = "ok";
export const ABSENT = "not-found";

/** Paths and what they hold; a path that is not in it is absent. */
type State = Readonly<Record<string, string>>;

interface World {
  state: State;
  /** Open operations that have taken effect, with what they answer. */
  done: ReadonlyMap<number, string>;
}

/** Worlds beyond which a group is too blurred to be followed. */
const WORLDS_MAX = 20_000;

export class Model {
  #worlds = new Map<string, World>([["{}", { state: {}, done: new Map() }]]);
  readonly #open = new Map<number, Operation>();
  readonly #unknown = new Set<number>();
  /** It can't be followed any more before the next `settle`; all answers pass. */
  blurred = false;

  /** Operations without an answer that may still take effect. */
  get unknown(): number {
    return this.#unknown.size;
  }

  /** An operation is asked for. */
  begin(id: number, operation: Operation): void {
    this.#open.set(id, operation);
  }

  /**
   * It was answered. Returns whether that fits; if not, the worlds stay as they were.
   */
  answered(id: number, answer: string): boolean {
    if (this.blurred) return this.#open.delete(id);
    const kept = new Map<string, World>();
    const seen = new Set<string>();
    const waiting = [...this.#worlds.values()];
    for (let world = waiting.pop(); world !== undefined; world = waiting.pop()) {
      const own = world.done.get(id);
      if (own !== undefined) {
        if (own === answer) keep(kept, without(world, id));
        continue;
      }
      for (const [next, operation] of this.#open) {
        if (world.done.has(next)) continue;
        const after = step(world, next, operation);
        const key = keyOf(after);
        if (seen.has(key)) continue;
        seen.add(key);
        waiting.push(after);
      }
      if (seen.size > WORLDS_MAX) {
        this.blurred = true;
        return this.#open.delete(id);
      }
    }
    if (kept.size === 0) return false;
    this.#worlds = kept;
    this.#open.delete(id);
    this.#unknown.delete(id);
    return true;
  }

  /**
   * It was answered that nothing was done. Returns whether that fits.
   */
  refused(id: number): boolean {
    this.#open.delete(id);
    if (this.blurred) return true;
    const kept = new Map([...this.#worlds].filter(([, world]) => !world.done.has(id)));
    if (kept.size === 0) return false;
    this.#worlds = kept;
    return true;
  }

  /** No answer came, and none will. A read is simply forgotten. */
  lost(id: number): void {
    const operation = this.#open.get(id);
    if (operation?.kind === "get" || operation?.kind === "list") {
      this.#open.delete(id);
      const worlds = [...this.#worlds.values()].map((world) => without(world, id));
      this.#worlds = new Map(worlds.map((world) => [keyOf(world), world]));
    } else {
      this.#unknown.add(id);
    }
  }

  /** What is there for certain, when it has just been looked at and nothing is under way. */
  settle(found: State): void {
    this.#open.clear();
    this.#unknown.clear();
    this.blurred = false;
    this.#worlds = new Map();
    keep(this.#worlds, { state: found, done: new Map() });
  }

  /** The states that are possible, in words, for reports. */
  describe(): string[] {
    const states = [...this.#worlds.values()].map(({ state }) => listing(state));
    return [...new Set(states)].slice(0, 20);
  }
}

/** The listing of a state: one line a path, in order. */
export function listing(state: State): string {
  return Object.keys(state).sort().map((path) => `${path}=${state[path]}`).join("\n");
}

/** What an operation does to a state, and what it answers. */
function apply(state: State, operation: Operation): [State, string] {
  if (operation.kind === "list") return [state, listing(state)];
  const { path } = operation;
  const held = state[path];
  if (operation.kind === "put") return [{ ...state, [path]: operation.content }, DONE];
  if (held === undefined) return [state, ABSENT];
  if (operation.kind === "get") return [state, held];
  const { [path]: _, ...rest } = state;
  if (operation.kind === "remove") return [rest, DONE];
  if (operation.kind === "copy") return [{ ...state, [operation.to]: held }, DONE];
  return [{ ...rest, [operation.to]: held }, DONE];
}

function step(world: World, id: number, operation: Operation): World {
  const [state, answer] = apply(world.state, operation);
  return { state, done: new Map([...world.done, [id, answer]]) };
}

function without(world: World, id: number): World {
  const done = new Map(world.done);
  done.delete(id);
  return { state: world.state, done };
}

function keep(worlds: Map<string, World>, world: World): void {
  worlds.set(keyOf(world), world);
}

function keyOf({ state, done }: World): string {
  const answers = [...done].sort(([a], [b]) => a - b).map((entry) => entry.join(":"));
  return `${listing(state)}\n~${answers.join("\n")}`;
}
