/** `event.list`: the logged changes of names by pages. */
import type { LoggedEvent } from "../../wire/event.ts";
import type { Desk } from "./desk.ts";

/** What the events of one reply may take, in bytes: half of what NATS carries. */
const PAGE_BYTES_MAX = 480 * 1024;
/** An event without its paths and owner. */
const EVENT_BYTES = 150;

/** `event.list`. */
export function list(
  desk: Desk,
  request: { after: number; limit: number },
): { events: LoggedEvent[]; forgotten: number; latest: number } {
  const page = desk.reader.events(request.after, request.limit);
  let bytes = 0;
  const end = page.events.findIndex(({ path, to = "", owner = "" }, index) => {
    bytes += EVENT_BYTES + Buffer.byteLength(path + to + owner);
    return bytes > PAGE_BYTES_MAX && index > 0;
  });
  return end === -1 ? page : { ...page, events: page.events.slice(0, end) };
}
