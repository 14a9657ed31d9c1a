/** The thread of a streamer: one port of a keeper. */
import type { StreamerReady, StreamerStart } from "../src/keeper/wiring.ts";
import { startStreamer } from "../src/keeper/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread<StreamerStart, StreamerReady>(startStreamer);
