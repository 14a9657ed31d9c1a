/** Labels of keepers, KEY=VALUE, and what rules want of them. */

export type Labels = Readonly<Record<string, string>>;

/** Whether a keeper's `labels` hold all that is `wanted`; nothing wanted is always held. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** Labels as people write them, in the order of their keys: `disk=ssd,kind=video`. */
export function formatLabels(labels: Labels): string {
  return Object.keys(labels).sort().map((key) => `${key}=${labels[key]}`).join(",");
}
