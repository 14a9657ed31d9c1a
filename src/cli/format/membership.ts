/** Keepers that are emptied, removed and made even, as people read it: pure functions. */
import { formatSize } from "../../base/bytes.ts";
import type { ClusterStatus } from "../../client/client.ts";
import type { DrainReply, RebalanceReply } from "../../client/operator.ts";
import { printable } from "../output.ts";
import { alignColumns, formatCount } from "./format.ts";

/** How far the emptying of a keeper is, and what to do next. */
export function formatDrain(drain: DrainReply): string {
  const { chunksLeft, bytesLeft, safeToRemove } = drain;
  const name = printable(drain.name);
  if (safeToRemove) {
    return `${name} is drained · all chunks have all their copies elsewhere · ` +
      `safe to remove: tydfs keeper remove ${name}`;
  }
  if (isStuck(drain)) {
    return `${name} is drained as far as can be · the other keepers can't take more copies of ` +
      `${formatCount(chunksLeft, "chunk")} (${formatSize(bytesLeft)}) · not safe to remove: ` +
      "start another keeper, or have tydfs keeper remove --force leave them with fewer copies";
  }
  return `draining ${name} · ${formatCount(chunksLeft, "chunk")}, ${formatSize(bytesLeft)} left`;
}

/** What is left can't be copied as things are. */
export function isStuck({ chunksLeft, stuck, heldBack }: DrainReply): boolean {
  return chunksLeft > 0 && stuck >= chunksLeft && heldBack === undefined;
}

/** What removing a keeper has cost. */
export function formatRemoved(removed: { name: string; short: number; lost: number }): string {
  const { name, short, lost } = removed;
  const costs = [
    ...(short > 0 ? [`${formatCount(short, "chunk")} short of copies now`] : []),
    ...(lost > 0 ? [`${formatCount(lost, "chunk")} without any copy now`] : []),
  ];
  return [`removed ${printable(name)}`, ...costs].join(" · ");
}

/** The keepers in a table, with their ids. */
export function formatKeepers({ keepers }: ClusterStatus): string[] {
  if (keepers.length === 0) return ["No keeper has joined yet"];
  const rows = keepers.map(({ id, name, state, host, labels, chunks, freeBytes, drain }) => {
    const safe = drain?.safeToRemove === true ? `${state}, safe to remove` : state;
    const cells = [printable(name), safe, String(chunks), formatSize(freeBytes)];
    return [...cells, printable(labels["zone"] ?? "-"), printable(host), id];
  });
  return alignColumns([["KEEPER", "STATE", "CHUNKS", "FREE", "ZONE", "HOST", "ID"], ...rows], [
    2,
    3,
  ]);
}

/** What balancing would move, keeper by keeper. */
export function formatBalance({ steps, spreadPercent, moveBytes }: RebalanceReply): string[] {
  const rows = steps.map(({ name, usedPercent, moveBytes: bytes, afterPercent }) => [
    printable(name),
    `${usedPercent.toFixed(1)} %`,
    bytes === 0 ? "-" : `${bytes > 0 ? "+" : "-"}${formatSize(Math.abs(bytes))}`,
    `${afterPercent.toFixed(1)} %`,
  ]);
  const spread = `largest difference from the mean: ${spreadPercent.toFixed(1)} %`;
  const sum = moveBytes === 0 ? "nothing to move" : `${formatSize(moveBytes)} to move`;
  return [
    ...alignColumns([["KEEPER", "USED", "MOVE", "AFTER"], ...rows], [1, 2, 3]),
    `${sum} · ${spread}`,
  ];
}
