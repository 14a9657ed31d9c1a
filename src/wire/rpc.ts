/** What a remote call is: a name, the schema of its request and the schema of its reply. */
import * as v from "valibot";
import type { Schema } from "./codec.ts";

/** One remote call. Its request and reply are plain values that pass these schemas. */
export interface Rpc<Request, Reply> {
  /** The part of the subject that names it, e.g. `upload.begin`. */
  readonly name: string;
  readonly request: Schema<Request>;
  readonly reply: Schema<Reply>;
}

/** Declares a remote call. */
export function rpc<Request, Reply>(
  name: string,
  request: Schema<Request>,
  reply: Schema<Reply>,
): Rpc<Request, Reply> {
  return { name, request, reply };
}

/** The schema of an answer that says nothing but "done". */
export const Done = v.object({});

/** The envelope of an error reply; a good reply is `{ok: true, value}`. */
export const ReplyEnvelope = v.variant("ok", [
  v.object({ ok: v.literal(true), value: v.unknown() }),
  v.object({
    ok: v.literal(false),
    code: v.string(),
    message: v.string(),
    data: v.optional(
      v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.array(v.string())])),
    ),
  }),
]);
