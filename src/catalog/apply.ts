/**
 * Turns one operation into rows, deterministically: no clock, no randomness, nothing but the rows
 * and the operation. Operating errors are thrown before anything is changed; the caller still
 * undoes whatever an unexpected one leaves behind.
 */
import { unreachable } from "../base/assert.ts";
import { condemnChunks, forgetChunks, storeChunk } from "./apply_chunk.ts";
import { copyFile, setFacts } from "./apply_entry.ts";
import { applyInventory, dropReplicas, joinKeeper, releaseReplicas } from "./apply_keeper.ts";
import { makeDir, removePath, renamePath } from "./apply_file.ts";
import { movePacked, settlePacks } from "./apply_move.ts";
import { commitPack } from "./apply_pack.ts";
import { addRule, applyRules, recountKeeper, removeRule } from "./apply_rule.ts";
import { drainKeeper, removeKeeper, setBalance } from "./apply_membership.ts";
import { dropVersions, purgeTrash, restoreVersions } from "./apply_trash.ts";
import { abortUpload, beginUpload, commitUpload, touchUpload } from "./apply_upload.ts";
import type { Operation, OperationKind, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

/**
 * Applies `operation` as number `sequence` of the history. Throws the `TydfsError`s that
 * `operation.ts` lists. A file or directory that it makes gets `sequence` as its version.
 */
export function apply(tx: Tx, operation: Operation, sequence: number): ResultOf<OperationKind> {
  switch (operation.kind) {
    case "master.start":
      return startMaster(tx);
    case "keeper.join":
      return joinKeeper(tx, operation);
    case "upload.begin":
      return beginUpload(tx, operation);
    case "upload.touch":
      return touchUpload(tx, operation);
    case "upload.abort":
      return abortUpload(tx, operation);
    case "upload.commit":
      return commitUpload(tx, operation, sequence);
    case "chunk.stored":
      return storeChunk(tx, operation, sequence);
    case "replica.release":
      return releaseReplicas(tx, operation);
    case "replica.gone":
      return dropReplicas(tx, operation);
    case "keeper.inventory":
      return applyInventory(tx, operation);
    case "pack.commit":
      return commitPack(tx, operation, sequence);
    case "pack.move":
      return movePacked(tx, operation, sequence);
    case "pack.settle":
      return settlePacks(tx, operation);
    case "chunk.condemn":
      return condemnChunks(tx, operation);
    case "chunk.forget":
      return forgetChunks(tx, operation);
    case "dir.make":
      return makeDir(tx, operation, sequence);
    case "file.remove":
      return removePath(tx, operation);
    case "file.rename":
      return renamePath(tx, operation, sequence);
    case "file.copy":
      return copyFile(tx, operation, sequence);
    case "file.set":
      return setFacts(tx, operation);
    case "trash.purge":
      return purgeTrash(tx, operation);
    case "rule.add":
      return addRule(tx, operation);
    case "rule.remove":
      return removeRule(tx, operation);
    case "rule.apply":
      return applyRules(tx, operation);
    case "keeper.recount":
      return recountKeeper(tx, operation);
    case "keeper.drain":
      return drainKeeper(tx, operation);
    case "keeper.remove":
      return removeKeeper(tx, operation);
    case "balance.set":
      return setBalance(tx, operation);
    case "trash.restore":
      return restoreVersions(tx, operation, sequence);
    case "trash.drop":
      return dropVersions(tx, operation);
    default:
      return unreachable(operation);
  }
}

function startMaster(tx: Tx): ResultOf<"master.start"> {
  tx.run("UPDATE meta SET value = value + 1 WHERE key = 'epoch'");
  const row = tx.get<{ value: number }>("SELECT value FROM meta WHERE key = 'epoch'");
  return { epoch: row?.value ?? 0 };
}
