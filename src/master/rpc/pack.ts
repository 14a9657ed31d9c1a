/**
 * `pack.*`: places packs of small files, and makes files of them. Nothing is kept between the two:
 * a pack that is never committed is a chunk that nothing refers to, and goes as such.
 */
import { failpoint } from "../../base/failpoint.ts";
import type { PackedFacts, PackResult } from "../../catalog/operation.ts";
import { makeId } from "../../wire/ids.ts";
import { quotePath, ROOT } from "../../wire/names.ts";
import type { PackBeginReply, PackBeginRequest, PackFile, PackOutcome } from "../../wire/pack.ts";
import type { Rule } from "../../wire/rule.ts";
import { announceChanges } from "../events.ts";
import { checkOffer, checkRoom, chooseCopies, placeChunk, wishOf } from "../placing.ts";
import { policyOf, policyText } from "../rulebook.ts";
import type { Desk } from "./desk.ts";

/** What `pack.commit` asks. */
interface CommitRequest {
  chunk: string;
  files: PackFile[];
  replicas?: number | undefined;
  minCopies?: number | undefined;
  exclusive: boolean;
}

/** `pack.begin`. */
export function begin(desk: Desk, request: PackBeginRequest): PackBeginReply {
  const { paths, sizeBytes, sums, avoid } = request;
  const rules = desk.rulebook.findAll(paths);
  const groups = groupByPlacing(desk, request, rules);
  if (groups.length > 1) return { groups };
  const [path = ROOT] = paths;
  const [rule] = rules;
  checkOffer(path, request, desk.settings.chunk_size);
  const copies = chooseCopies(desk, path, request, rule);
  const room = { path, sizeBytes, minCopies: copies.minCopies, wish: wishOf(rule) };
  const candidates = checkRoom(desk, room);
  const upload = makeId(desk.random);
  const origin = { path, upload, seq: 0, offset: 0, packed: true } as const;
  const { placement } = placeChunk(desk, { ...room, ...copies, sums, origin, candidates, avoid });
  return { placement };
}

/** `pack.commit`. */
export async function commit(
  desk: Desk,
  request: CommitRequest,
): Promise<{ outcomes: PackOutcome[] }> {
  const { chunk, files, replicas, exclusive } = request;
  // The rules of now, whatever they were when the pack was placed: what lies wrong is moved. Only
  // files that are to lie together stay so.
  const rules = desk.rulebook.findAll(files.map(({ path }) => path));
  const groups = groupByPlacing(desk, request, rules);
  const taken = groups.reduce((most, group) => group.length > most.length ? group : most, []);
  const rule = rules[taken[0] ?? 0];
  const policy = policyOf(rule);
  const asked = replicas === undefined ? {} : { replicas };
  const packed = taken.flatMap((index): PackedFacts[] => {
    const file = files[index];
    return file === undefined ? [] : [{ ...file, exclusive, ...asked }];
  });
  const { files: results, events } = await desk.journal.submit({
    ...{ kind: "pack.commit", chunk, files: packed, atMs: desk.clock.wallMs() },
    ...chooseCopies(desk, packed[0]?.path ?? ROOT, request, rule),
    ...(policy === undefined ? {} : { policy }),
  });
  await failpoint("master.pack.committed");
  await announceChanges(desk.announce, events);
  const outcomes = files.map(({ path }) => refusalOfOther(path));
  for (const [place, index] of taken.entries()) {
    const result = results[place];
    if (result !== undefined) outcomes[index] = outcomeOf(result);
  }
  return { outcomes };
}

/** A file that rules want elsewhere, or in other numbers, than the rest of its pack. */
function refusalOfOther(path: string): PackOutcome {
  const state = "a rule now asks for other copies or keepers than its pack has";
  const message = `Cannot commit ${quotePath(path)}: ${state}; put it again`;
  return { ok: false, code: "conflict", message };
}

function outcomeOf(result: PackResult): PackOutcome {
  if (!result.ok) return result;
  const { replaced: _replaced, ...file } = result.file;
  return { ok: true, file };
}

/** Which files go together, by their indexes: they want as many copies on the same keepers. */
function groupByPlacing(
  { settings }: Desk,
  { replicas }: { replicas?: number | undefined },
  rules: readonly (Rule | undefined)[],
): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, rule] of rules.entries()) {
    const goal = replicas ?? rule?.copies ?? settings.replicas;
    const key = `${goal} ${policyText(policyOf(rule))}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  }
  return [...groups.values()];
}
