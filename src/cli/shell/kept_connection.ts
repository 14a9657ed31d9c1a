/**
 * One connection for all commands of the shell; a command that names another cluster gets its own.
 */
import type { TydfsClient } from "../../client/client.ts";
import type { Connector, JoinSettings } from "../session.ts";
import { ownConnection } from "../session.ts";

export class KeptConnection implements Connector {
  #kept: { url: string; client: TydfsClient } | undefined;
  /** Clients over the kept connection, which end without it. */
  readonly #guests = new WeakSet<TydfsClient>();

  /** Joins by the first URL that it is given, and stays; throws what `TydfsClient.connect` does. */
  async join(settings: JoinSettings): Promise<TydfsClient> {
    const { url } = settings;
    this.#kept ??= { url, client: await ownConnection.join(settings) };
    if (url !== this.#kept.url) return await ownConnection.join(settings);
    const guest = this.#kept.client.over(settings);
    this.#guests.add(guest);
    return guest;
  }

  async leave(client: TydfsClient): Promise<void> {
    if (!this.#guests.has(client)) await ownConnection.leave(client);
  }

  /** Leaves the cluster. */
  async close(): Promise<void> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) await ownConnection.leave(kept.client);
  }
}
