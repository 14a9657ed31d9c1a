/**
 * The machines of the cluster: a network namespace each, joined by a bridge in one more, so that
 * nothing of it is seen by the machine that it runs on; without root one loopback for all.
 */

export interface Host {
  name: string;
  address: string;
}

/** A place for each host, and what can be done to the lines between them. */
export interface Hosts {
  readonly kind: "netns" | "loopback";
  /** Adds a host; the same name gives the same host. */
  add(name: string): Host;
  /** The words that go before a command that is to run on a host. */
  enter(host: Host): string[];
  /** Runs a command of the system on a host; throws when it fails. */
  run(host: Host, command: string[]): string;
  close(): void;
}

/** All hosts are this one. */
export class Loopback implements Hosts {
  readonly kind = "loopback";

  add(name: string): Host {
    return { name, address: "127.0.0.1" };
  }

  enter(): string[] {
    return [];
  }

  run(_host: Host, command: string[]): string {
    return system(command);
  }

  close(): void {}
}

/** A namespace each; needs root, iproute2 and nftables. */
export class Namespaces implements Hosts {
  readonly kind = "netns";
  readonly #prefix = `tydfs${process.pid}`;
  readonly #switch: string;
  readonly #hosts = new Map<string, Host>();
  readonly #namespaces: string[] = [];

  constructor() {
    this.#switch = this.#make("switch");
    system(["ip", "-n", this.#switch, "link", "add", "br0", "type", "bridge"]);
    system(["ip", "-n", this.#switch, "link", "set", "br0", "up"]);
  }

  /** Whether this user may make namespaces, and the tools are there. */
  static available(): boolean {
    if (process.getuid?.() !== 0) return false;
    return ["ip", "nft", "tc"].every((tool) => Bun.which(tool, { PATH: PATH }) !== null);
  }

  add(name: string): Host {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const number = this.#hosts.size + 1;
    const host = { name, address: `10.213.0.${number}` };
    const space = this.#make(name);
    const port = `p${number}`;
    const [veth, peer] = [["name", "eth0", "netns", space], ["type", "veth", "peer"]];
    system(["ip", "-n", this.#switch, "link", "add", port, ...peer, ...veth]);
    system(["ip", "-n", this.#switch, "link", "set", port, "master", "br0", "up"]);
    system(["ip", "-n", space, "addr", "add", `${host.address}/24`, "dev", "eth0"]);
    system(["ip", "-n", space, "link", "set", "eth0", "up"]);
    this.#hosts.set(name, host);
    return host;
  }

  enter(host: Host): string[] {
    return ["ip", "netns", "exec", this.#space(host.name)];
  }

  run(host: Host, command: string[]): string {
    return system([...this.enter(host), ...command]);
  }

  close(): void {
    for (const space of this.#namespaces) Bun.spawnSync(["ip", "netns", "del", space]);
  }

  #make(name: string): string {
    const space = this.#space(name);
    system(["ip", "netns", "add", space]);
    this.#namespaces.push(space);
    system(["ip", "-n", space, "link", "set", "lo", "up"]);
    return space;
  }

  #space(name: string): string {
    return `${this.#prefix}-${name}`;
  }
}

/** Where Debian has the tools, which a user's PATH may leave out. */
export const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

/** Runs a command of the system; returns what it prints, throws what it complains of. */
export function system(command: string[], stdin?: string): string {
  const run = Bun.spawnSync(command, {
    env: { ...process.env, PATH },
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
  });
  if (run.exitCode === 0) return run.stdout.toString();
  throw new Error(`${command.join(" ")} → ${run.exitCode}: ${run.stderr.toString().trim()}`);
}
