/** Keepers that are emptied and forgotten, and the wish to make the others even. */
import { TydfsError } from "../wire/errors.ts";
import { keeperNumber } from "./apply_keeper.ts";
import { dropReplica, getChunk } from "./chunk_rows.ts";
import type { Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

interface KeeperRow {
  number: number;
  name: string;
  draining: number;
}

const MEMBER = `SELECT number, name, draining FROM keeper WHERE id = ? AND removed_ms IS NULL`;
const HELD = "SELECT chunk FROM replica WHERE keeper = ? ORDER BY chunk LIMIT ?";
const HOLDERS = "SELECT keeper FROM replica WHERE chunk = ?";
/** Its name is free for another: the id takes its place. */
const REMOVE = `UPDATE keeper SET removed_ms = ?, draining = 0, name = id WHERE number = ?`;

/** Begins or ends the draining of a keeper: `keeper.drain`. */
export function drainKeeper(tx: Tx, operation: Of<"keeper.drain">): Record<string, never> {
  const { keeper, on } = operation;
  const row = getMember(tx, keeper, "drain");
  const draining = on ? 1 : 0;
  if (row.draining === draining) return {};
  tx.run("UPDATE keeper SET draining = ? WHERE number = ?", draining, row.number);
  tx.count("keepers_generation", 1);
  return {};
}

/** Takes a part of a keeper's replicas off the record, then the keeper: `keeper.remove`. */
export function removeKeeper(tx: Tx, operation: Of<"keeper.remove">): ResultOf<"keeper.remove"> {
  const { keeper, force, limit, atMs } = operation;
  const { number, name } = getMember(tx, keeper, "remove");
  const alive = new Set(operation.alive.map((id) => keeperNumber(tx, id)));
  alive.delete(number);
  const page = tx.all<{ chunk: number }>(HELD, number, limit).map(({ chunk }) => {
    const row = getChunk(tx, chunk);
    const others = tx.all<{ keeper: number }>(HOLDERS, chunk)
      .filter((holder) => holder.keeper !== number);
    const good = others.filter((holder) => alive.has(holder.keeper)).length;
    const isShort = row.refs > 0 && good < row.goal;
    return { row, isShort, isLost: isShort && others.length === 0 };
  });
  const short = page.filter(({ isShort }) => isShort).length;
  const lost = page.filter(({ isLost }) => isLost).length;
  if (short > 0 && !force) {
    const least = page.length === limit ? "at least " : "";
    const none = lost === 0 ? "" : `, ${lost} of them with none`;
    const state = `${least}${short} of its chunks would be left with too few copies${none}; ` +
      `drain it first: tydfs drain ${name}`;
    throw new TydfsError("conflict", `Cannot remove keeper "${name}": ${state}`);
  }
  for (const { row } of page) dropReplica(tx, row, number, atMs);
  const more = page.length === limit;
  if (!more) {
    tx.run("DELETE FROM relabelled WHERE keeper = ?", number);
    tx.run(REMOVE, atMs, number);
    tx.count("keepers_generation", 1);
  }
  return { short: short - lost, lost, more };
}

/** Whether keepers are to be made even by command: `balance.set`. */
export function setBalance(tx: Tx, operation: Of<"balance.set">): Record<string, never> {
  tx.run("UPDATE meta SET value = ? WHERE key = 'balance'", operation.on ? 1 : 0);
  return {};
}

function getMember(tx: Tx, id: string, action: string): KeeperRow {
  const row = tx.get<KeeperRow>(MEMBER, id);
  if (row !== undefined) return row;
  throw new TydfsError(
    "not-found",
    `Cannot ${action} keeper "${id}": the cluster has none of this id`,
  );
}
