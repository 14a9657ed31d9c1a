/** One thread of `file_crew.ts`. */
import { closeSync, copyFileSync, fsyncSync, openSync, statSync } from "node:fs";
import type { FileOrder, FileReport, FileTask } from "./file_crew.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<FileOrder>) => {
  let done = 0;
  try {
    for (const task of event.data.tasks) {
      if (Date.now() > event.data.endMs) break;
      run(task);
      done++;
    }
    answer({ done });
  } catch (error) {
    answer({ error: String(error) });
  }
};
answer({ done: 0 });

function answer(report: FileReport): void {
  self.postMessage(report);
}

function run(task: FileTask): void {
  if (task.kind === "stat") return void statSync(task.path);
  if (task.kind === "make") return closeSync(openSync(task.path, "w"));
  for (const target of task.to) {
    copyFileSync(task.from, target);
    if (!task.sync) continue;
    const file = openSync(target, "r+");
    fsyncSync(file);
    closeSync(file);
  }
}
