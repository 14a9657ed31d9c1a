/**
 * The configuration of the nats-server that a cluster runs on: one user a role, each confined to
 * its subjects. Valid for nats-server 2.9 and later. An operator who brings a nats-server of their
 * own puts the same users into it.
 *
 * All clients share one user: a client can't read what other roles are answered, but could read
 * other clients' replies.
 */
import { inboxPrefix } from "../wire/bus_nats.ts";
import { MESSAGE_BYTES_MAX } from "../wire/codec.ts";
import { roleSecret } from "../wire/secrets.ts";
import { subjectsOf } from "../wire/subjects.ts";
import type { Role } from "../wire/url.ts";

export interface NatsConfigOptions {
  cluster: string;
  clusterKey: string;
  /** The keepers' secret, where it is not the one that the key gives. */
  keeperSecret?: string;
  /** Tells this server apart from any other that answers on the same port. */
  serverName: string;
  host: string;
  port: number;
}

interface Permissions {
  publish: string[];
  subscribe: string[];
  /** May answer each request once, within this time. */
  respondWithin?: string;
}

/** Longest time that a command may take until its answer: a large chunk over a slow link. */
const RESPOND_WITHIN = "15m";

/** What a role may say and hear. */
export function rolePermissions(cluster: string, role: Role): Permissions {
  const subjects = subjectsOf(cluster);
  const inbox = `${inboxPrefix(role)}.>`;
  switch (role) {
    case "master":
      return { publish: [">"], subscribe: [">"] };
    case "keeper":
      return {
        publish: [subjects.heartbeat("*"), subjects.report("*", "*")],
        // `$SRV`: keepers may show themselves to `nats micro ls`.
        subscribe: [subjects.command("*", "*"), "$SRV.>", inbox],
        respondWithin: RESPOND_WITHIN,
      };
    case "client":
      return {
        publish: [subjects.rpc(">"), "$SRV.>"],
        subscribe: [subjects.event(">"), inbox],
      };
  }
}

/** The part of a nats-server configuration that a cluster needs: its users. Holds secrets. */
export function natsUsers(
  cluster: string,
  clusterKey: string,
  keeperSecret = roleSecret(clusterKey, "keeper"),
): string {
  const roles: Role[] = ["master", "keeper", "client"];
  const users = roles.map((role) => {
    const secret = role === "keeper" ? keeperSecret : roleSecret(clusterKey, role);
    return userEntry(cluster, secret, role);
  }).join("\n");
  return `authorization {\n  timeout: 5\n  users: [\n${users}\n  ]\n}\n`;
}

/** A whole configuration for a nats-server that serves one cluster. Holds secrets. */
export function natsConfig(options: NatsConfigOptions): string {
  const lines = [
    "# Written by tydfs at each start of the master: changes made here are lost.",
    `server_name: ${quote(options.serverName)}`,
    `host: ${quote(options.host)}`,
    `port: ${options.port}`,
    `max_payload: ${MESSAGE_BYTES_MAX}`,
    `ping_interval: "5s"`,
    "ping_max: 2",
    `write_deadline: "10s"`,
    "",
  ];
  const { cluster, clusterKey, keeperSecret } = options;
  return lines.join("\n") + natsUsers(cluster, clusterKey, keeperSecret);
}

function userEntry(cluster: string, secret: string, role: Role): string {
  const { publish, subscribe, respondWithin } = rolePermissions(cluster, role);
  const permissions = [
    `publish: {allow: ${list(publish)}}`,
    `subscribe: {allow: ${list(subscribe)}}`,
    ...(respondWithin === undefined
      ? []
      : [`allow_responses: {max: 1, expires: ${quote(respondWithin)}}`]),
  ].join(", ");
  return `    {user: ${role}, password: ${quote(secret)}, permissions: {${permissions}}}`;
}

function list(subjects: string[]): string {
  return `[${subjects.map(quote).join(", ")}]`;
}

/** JSON's quoting is also NATS's, for what can stand in a path or subject. */
function quote(text: string): string {
  return JSON.stringify(text);
}
