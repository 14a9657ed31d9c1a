/** The URL with which every part joins a cluster: `tydfs://<role>:<secret>@host:port[/cluster]`. */
import { TydfsError } from "./errors.ts";

export type Role = "master" | "keeper" | "client";

export interface ClusterUrl {
  role: Role;
  secret: string;
  host: string;
  port: number;
  /** The cluster's name: a part of every subject. */
  cluster: string;
}

export const PORT_DEFAULT = 4222;
export const CLUSTER_DEFAULT = "main";

/**
 * Parses a join URL. Throws `usage` that says which part is wrong, and never repeats the secret.
 */
export function parseClusterUrl(text: string): ClusterUrl {
  const match =
    /^tydfs:\/\/(?:([^:@/]+):([^@/]+)@)?(\[[0-9a-fA-F:.]+\]|[^:@/[\]]+)(?::(\d+))?(?:\/([^/]*))?$/
      .exec(text);
  if (match === null) throw badUrl("it must look like tydfs://client:SECRET@HOST:4222");
  const [, role, secret, host = "", port, cluster] = match;
  if (role === undefined || secret === undefined) {
    throw badUrl("the role and its secret are missing");
  }
  if (role !== "client" && role !== "keeper" && role !== "master") {
    throw badUrl(`the role "${role}" is none of client, keeper`);
  }
  const portNumber = port === undefined ? PORT_DEFAULT : Number(port);
  if (portNumber < 1 || portNumber > 65535) throw badUrl(`the port ${port} does not exist`);
  const name = cluster === undefined || cluster === "" ? CLUSTER_DEFAULT : cluster;
  if (!/^[a-zA-Z0-9_-]{1,63}$/.test(name)) throw badUrl(`the cluster's name "${name}" is none`);
  return { role, secret, host, port: portNumber, cluster: name };
}

/** The URL as text, secret included. */
export function formatClusterUrl(url: ClusterUrl): string {
  const tail = url.cluster === CLUSTER_DEFAULT ? "" : `/${url.cluster}`;
  return `tydfs://${url.role}:${url.secret}@${url.host}:${url.port}${tail}`;
}

function badUrl(reason: string): TydfsError {
  return new TydfsError("usage", `Cannot use the cluster's URL: ${reason}`);
}
