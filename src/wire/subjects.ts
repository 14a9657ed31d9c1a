/** The NATS subjects, all under `tydfs.<cluster>.`; nothing else builds one. */

export interface Subjects {
  /** `rpc.<area>.<verb>`: client → any tracker, queue group. */
  rpc(name: string): string;
  /** `heartbeat.<keeper>`: keeper → sentinel, each second. */
  heartbeat(keeperId: string): string;
  /** `report.<keeper>.<what>`: keeper → writer, requests that can be repeated. */
  report(keeperId: string, what: string): string;
  /** `keeper.<keeper>.<command>`: master → keeper. */
  command(keeperId: string, command: string): string;
  /** `event.<kind>`: master → anyone. */
  event(kind: string): string;
}

/** The queue group in which all trackers answer. */
export const TRACKER_QUEUE = "trackers";

/** The subjects of the cluster named `cluster`. `*` as an argument makes a subscription to all. */
export function subjectsOf(cluster: string): Subjects {
  const prefix = `tydfs.${cluster}`;
  return {
    rpc: (name) => `${prefix}.rpc.${name}`,
    heartbeat: (keeperId) => `${prefix}.heartbeat.${keeperId}`,
    report: (keeperId, what) => `${prefix}.report.${keeperId}.${what}`,
    command: (keeperId, command) => `${prefix}.keeper.${keeperId}.${command}`,
    event: (kind) => `${prefix}.event.${kind}`,
  };
}
