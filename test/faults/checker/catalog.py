"""The catalog's rows, read from a consistent copy, and what must hold among them."""

import json
import sqlite3

COUNTS = {
    "files": """SELECT count(*) FROM inode i JOIN dentry d ON d.inode = i.id
                WHERE i.kind = 'file'""",
    "directories": """SELECT count(*) FROM inode i JOIN dentry d ON d.inode = i.id
                      WHERE i.kind = 'directory'""",
    "bytes": """SELECT ifnull(sum(i.size), 0) FROM inode i JOIN dentry d ON d.inode = i.id""",
    "chunks": "SELECT count(*) FROM chunk WHERE refs > 0",
    "chunks_short": "SELECT count(*) FROM chunk WHERE refs > 0 AND copies < goal",
    "chunks_lost": "SELECT count(*) FROM chunk WHERE refs > 0 AND copies = 0",
}

EMPTY = {
    "refs differ from the extents and uploads":
        """SELECT c.id FROM chunk c WHERE c.refs <>
           (SELECT count(*) FROM extent e WHERE e.chunk = c.no) +
           (SELECT count(*) FROM upload_chunk u WHERE u.chunk = c.no)""",
    "copies differ from the replicas":
        """SELECT c.id FROM chunk c WHERE c.copies <>
           (SELECT count(*) FROM replica r WHERE r.chunk = c.no)""",
    "an extent has no chunk or no file":
        """SELECT e.inode || '/' || e.seq FROM extent e LEFT JOIN chunk c ON c.no = e.chunk
           LEFT JOIN inode i ON i.id = e.inode WHERE c.no IS NULL OR i.id IS NULL""",
    "a name leads nowhere":
        """SELECT d.key FROM dentry d LEFT JOIN inode i ON i.id = d.inode
           LEFT JOIN inode p ON p.id = d.parent WHERE i.id IS NULL OR p.id IS NULL""",
    "an inode has two names":
        "SELECT inode FROM dentry GROUP BY inode HAVING count(*) > 1",
    "an inode has no name and lies not in the trash":
        """SELECT i.id FROM inode i WHERE i.id <> 1
           AND i.id NOT IN (SELECT inode FROM dentry) AND i.id NOT IN (SELECT inode FROM trash)""",
    "a replica has no chunk or no keeper":
        """SELECT r.chunk || '@' || r.keeper FROM replica r LEFT JOIN chunk c ON c.no = r.chunk
           LEFT JOIN keeper k ON k.number = r.keeper WHERE c.no IS NULL OR k.number IS NULL""",
    "live differs from the bytes that a pack's extents refer to":
        """SELECT c.id FROM chunk c WHERE c.live <> iif(c.packed = 1,
           (SELECT ifnull(sum(e.length), 0) FROM (SELECT DISTINCT chunk_offset, length
            FROM extent WHERE chunk = c.no) e), 0)""",
    "of a chunk that is no pack a part is a file":
        """SELECT e.inode || '/' || e.seq FROM extent e JOIN chunk c ON c.no = e.chunk
           WHERE c.packed = 0 AND (e.chunk_offset <> 0 OR e.length <> c.size)""",
    "a packed file has more than one extent":
        """SELECT e.inode FROM extent e JOIN chunk c ON c.no = e.chunk
           WHERE c.packed = 1 AND (e.seq <> 0 OR e.offset <> 0)""",
    "files overlap in their pack":
        """SELECT a.inode || ' and ' || b.inode FROM extent a JOIN extent b ON b.chunk = a.chunk
           AND b.chunk_offset > a.chunk_offset AND b.chunk_offset < a.chunk_offset + a.length""",
    "a pack is of an upload":
        """SELECT c.id FROM chunk c JOIN upload_chunk u ON u.chunk = c.no WHERE c.packed = 1""",
    "a condemned chunk is in use": "SELECT id FROM chunk WHERE condemned <> 0 AND refs > 0",
    "logged events leave gaps":
        """SELECT count(*) || ' of ' || max(no) FROM event
           HAVING count(*) > 0 AND max(no) - min(no) + 1 <> count(*)""",
}


# No entry of a manifest of the workload takes more; and what those of empty files may take that are
# gone, but share the place of one that is not.
ENTRY_BYTES = 200
NAMES_BYTES = 8192


def copy_of(path):
    """A copy of the catalog in memory, taken in one piece while the master runs."""
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    target = sqlite3.connect(":memory:")
    source.backup(target)
    source.close()
    return target


def broken_rules(database):
    """Yields a sentence for each rule that the catalog breaks by itself (I8)."""
    verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        yield f"integrity_check says {verdict}"
    for counter, query in COUNTS.items():
        kept = database.execute("SELECT value FROM meta WHERE key = ?", (counter,)).fetchone()[0]
        counted = database.execute(query).fetchone()[0]
        if kept != counted:
            yield f"the counter {counter} is {kept}, the rows are {counted}"
    for words, query in EMPTY.items():
        rows = [str(row[0]) for row in database.execute(query).fetchmany(5)]
        if rows:
            yield f"{words}: {', '.join(rows)}"


def files_below(database, prefix):
    """Maps the path of each file below `prefix` to its inode, size and checksum."""
    names = {}
    for parent, key, inode in database.execute("SELECT parent, key, inode FROM dentry"):
        names[inode] = (parent, key)
    found = {}
    rows = database.execute("SELECT id, size, checksum FROM inode WHERE kind = 'file'")
    for inode, size, checksum in rows:
        if inode in names:
            path = path_of(names, inode)
            if path.startswith(prefix):
                found[path] = (inode, size, checksum)
    return found


def path_of(names, inode):
    """The whole path of an inode."""
    path = ""
    while inode != 1:
        inode, key = names[inode]
        path = "/" + key.rstrip("/") + path
    return path


def pack_places(database, chunk):
    """What the extents of a pack refer to: inode, offset in the chunk, length."""
    query = "SELECT inode, chunk_offset, length FROM extent WHERE chunk = ?"
    return database.execute(query, (chunk,)).fetchall()


def sparse_packs(database):
    """Packs in use that are more than half dead, whatever the names of what lives take."""
    query = """SELECT id FROM chunk WHERE packed = 1 AND refs > 0 AND live < filled / 2
               AND 2 * (live + ? * (SELECT count(*) FROM (SELECT DISTINCT chunk_offset, length
                FROM extent WHERE chunk = no))) + ? < size"""
    return [chunk for (chunk,) in database.execute(query, (ENTRY_BYTES, NAMES_BYTES))]


def parted_packs(database):
    """Packs of files that want different copies of them, or that are taken for such."""
    query = """SELECT c.id FROM chunk c WHERE c.packed = 1 AND c.refs > 0 AND (c.parted <> 0 OR 1 <
               (SELECT count(DISTINCT i.goal || ' ' || i.policy) FROM extent e
                JOIN inode i ON i.id = e.inode JOIN dentry d ON d.inode = i.id
                WHERE e.chunk = c.no))"""
    return [chunk for (chunk,) in database.execute(query)]


def weakly_held(database):
    """Yields the inodes with names whose pack has a lower goal, or lacks what they require and
    does not say so."""
    policies = {0: {}}
    for number, require in database.execute("SELECT no, require FROM policy"):
        policies[number] = json.loads(require)
    query = """SELECT i.id, i.goal, i.policy, c.goal, c.policy, c.misplaced = c.copies
               FROM inode i JOIN dentry d ON d.inode = i.id JOIN extent e ON e.inode = i.id
               JOIN chunk c ON c.no = e.chunk WHERE c.packed = 1"""
    for inode, goal, policy, held_goal, held_policy, told in database.execute(query):
        lacks = policies[policy].items() - policies[held_policy].items()
        if held_goal < goal or (lacks and not told):
            yield inode


def wrongly_placed(database):
    """Yields files with names of which a copy lies on a keeper without what they require."""
    labels = {number: json.loads(text) for number, text in
              database.execute("SELECT number, labels FROM keeper")}
    query = """SELECT DISTINCT i.id, p.require, r.keeper FROM inode i
               JOIN dentry d ON d.inode = i.id JOIN policy p ON p.no = i.policy
               JOIN extent e ON e.inode = i.id JOIN replica r ON r.chunk = e.chunk"""
    for inode, require, keeper in database.execute(query):
        if json.loads(require).items() - labels[keeper].items():
            yield inode, keeper


def extents_of(database, inode):
    """The extents of a file in order: offset, length, chunk number, offset in the chunk."""
    query = "SELECT offset, length, chunk, chunk_offset FROM extent WHERE inode = ? ORDER BY seq"
    return database.execute(query, (inode,)).fetchall()
