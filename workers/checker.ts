/** The checker thread: looks through a large catalog's file after the start, and is ready then. */
import { failpoint } from "../src/base/failpoint.ts";
import { checkCatalogFile } from "../src/catalog/open.ts";
import type { CheckStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread(async ({ catalogPath }: CheckStart) => {
  await failpoint("master.check.before");
  checkCatalogFile(catalogPath);
  return { ready: {}, stop: () => Promise.resolve() };
});
