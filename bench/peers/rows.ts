/** The rows of the table: what each is called, its unit, and which way is better. */

export type GroupName =
  | "start"
  | "large"
  | "parallel"
  | "medium"
  | "tree"
  | "single"
  | "names"
  | "repair"
  | "memory";

export interface Row {
  id: string;
  group: GroupName;
  title: string;
  unit: string;
  better: "more" | "less";
}

const row = (id: string, group: GroupName, title: string, unit: string): Row => ({
  id,
  group,
  title,
  unit,
  better: unit.includes("/s") ? "more" : "less",
});

export const ROWS: readonly Row[] = [
  row("start", "start", "From start of the processes to the first put", "s"),
  row("put-large", "large", "Put 1 × 1 GiB", "MiB/s"),
  row("get-large", "large", "Get 1 × 1 GiB", "MiB/s"),
  row("put-cpu", "large", "CPU of all processes to put 1 GiB", "s"),
  row("get-cpu", "large", "CPU of all processes to get 1 GiB", "s"),
  row("put-parallel", "parallel", "Put 8 × 128 MiB at once", "MiB/s"),
  row("get-parallel", "parallel", "Get 8 × 128 MiB at once", "MiB/s"),
  row("put-medium", "medium", "Put a tree of 200 × 5 MiB", "MiB/s"),
  row("get-medium", "medium", "Get a tree of 200 × 5 MiB", "MiB/s"),
  row("put-tree", "tree", "Put a tree of 10,000 × 4 KiB", "files/s"),
  row("get-tree", "tree", "Get a tree of 10,000 × 4 KiB", "files/s"),
  row("tree-cpu", "tree", "CPU of all processes to put 1,000 files of it", "s"),
  row("delete-tree", "tree", "Delete a tree of 10,000 files", "files/s"),
  row("put-single", "single", "5,000 single puts of 4 KiB, 16 clients", "files/s"),
  row("get-single", "single", "5,000 single gets of 4 KiB, 16 clients", "files/s"),
  row("single-cpu", "single", "CPU of all processes for 1,000 single puts", "s"),
  row("stat-100k", "names", "Stats at 16 clients, 100,000 files", "stats/s"),
  row("list-100k", "names", "List a directory of 1,000, 100,000 files", "ms"),
  row("stat-1m", "names", "Stats at 16 clients, 1,000,000 files", "stats/s"),
  row("list-1m", "names", "List a directory of 1,000, 1,000,000 files", "ms"),
  row("repair", "repair", "Replace a lost server that held 2 GiB", "s"),
  row("rest-memory", "memory", "Memory of all servers at rest (PSS)", "MB"),
  row("peak-memory", "memory", "Peak memory of all servers (sum of VmHWM)", "MB"),
];

export const GROUPS: readonly GroupName[] = [...new Set(ROWS.map(({ group }) => group))];

/** The groups that a list of words asks for: groups, or rows of them. Undefined: a word is wrong. */
export function parseGroups(text: string): GroupName[] | undefined {
  const groups = text.split(",").map((word) =>
    GROUPS.find((group) => group === word.trim()) ??
      ROWS.find(({ id }) => id === word.trim())?.group
  );
  return groups.every((group) => group !== undefined) ? groups : undefined;
}
