/** The error of a wrong setting. */

/** A setting that can't be used; `message` is whole and for the user. */
export class ConfigError extends Error {
  override name = "ConfigError";
}
