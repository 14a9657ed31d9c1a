/** The thread in which a keeper looks after its disk: see `src/keeper/scrubber.ts`. */
import type { CareStart } from "../src/keeper/care_wiring.ts";
import { startCare } from "../src/keeper/care_wiring.ts";
import { runThread } from "../src/threads.ts";

runThread<CareStart, Record<string, never>>(startCare);
