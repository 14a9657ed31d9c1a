"""The independent checker: reads a copy of the catalog and the keepers' disks, and says what of the
invariants is broken. It shares no code with tydfs; it needs Python 3 and python3-xxhash.

Usage: check.py FACTS.json; prints one line of JSON for each broken invariant, and counts at the end.
"""

import hashlib
import itertools
import json
import os
import sys

import catalog
import content
import disks
import packs


class Check:
    """One look at a cluster that is at rest."""

    def __init__(self, facts):
        self.facts = facts
        self.database = catalog.copy_of(facts["catalog"])
        self.broken = []
        self.counts = {"files": 0, "bytes": 0, "chunks": 0, "copies": 0, "packs": 0, "packed": 0}
        self.manifests = {}
        self.keepers = {}
        self.good = {}

    def fail(self, invariant, words):
        """Notes a broken invariant."""
        self.broken.append({"invariant": invariant, "message": words})

    def run(self):
        """Looks at everything."""
        for words in catalog.broken_rules(self.database):
            self.fail("I8", words)
        self.read_disks()
        self.check_chunks()
        self.check_packs()
        self.check_strays()
        self.check_files()
        self.check_policies()
        self.check_rest()
        self.check_ids()
        self.check_canary()

    def read_disks(self):
        """Lists what the keepers have, by their numbers in the catalog."""
        query = "SELECT number FROM keeper WHERE id = ?"
        for keeper in self.facts["keepers"]:
            with open(os.path.join(keeper["dir"], "keeper.json"), encoding="utf-8") as file:
                row = self.database.execute(query, (json.load(file)["id"],)).fetchone()
            if row is None:
                self.fail("I8", f"{keeper['name']} is not in the catalog")
                continue
            found, strange = disks.chunk_files(keeper["dir"])
            self.keepers[row[0]] = (keeper["name"], found)
            for path in strange:
                self.fail("I6", f"{path} is no chunk, nor a sidecar of one")
            for path in disks.temporary_files(keeper["dir"]):
                self.fail("I7", f"{path} is left over")

    def check_chunks(self):
        """Every chunk in use: as many whole copies as its goal, each on a keeper of its own."""
        query = "SELECT no, id, size, sums, goal FROM chunk WHERE refs > 0"
        for no, chunk, size, sums, goal in self.database.execute(query):
            self.counts["chunks"] += 1
            whole = [path for path in self.copies(no, chunk) if self.is_whole(path, size, sums)]
            self.counts["copies"] += len(whole)
            goal = min(goal, len(self.keepers))
            if len(whole) != goal:
                self.fail("I3", f"chunk {chunk} has {len(whole)} whole copies, its goal is {goal}")
            if whole:
                self.good[no] = whole[0]

    def check_packs(self):
        """A pack's files are named by its own manifest, and by the sidecar of each copy (I22)."""
        query = "SELECT no, id FROM chunk WHERE refs > 0 AND packed = 1"
        for no, chunk in self.database.execute(query):
            if no not in self.good:
                continue
            self.counts["packs"] += 1
            try:
                entries, end = packs.manifest_of(self.good[no])
            except packs.Malformed as error:
                self.fail("I22", f"{self.good[no]} has no manifest: {error}")
                continue
            self.manifests[no] = entries
            places = {(entry["offset"], entry["sizeBytes"]) for entry in entries}
            if any(offset + size > end for offset, size in places):
                self.fail("I22", f"pack {chunk} names bytes that are its manifest's")
            for inode, offset, length in catalog.pack_places(self.database, no):
                self.counts["packed"] += 1
                if (offset, length) not in places:
                    words = f"its {length} bytes at {offset} are inode {inode}'s"
                    self.fail("I22", f"pack {chunk} does not name what lies in it: {words}")
            self.check_lists(chunk, entries)

    def check_lists(self, chunk, entries):
        """The sidecars of a pack's copies list what its manifest does."""
        for _, found in self.keepers.values():
            sidecar = disks.sidecar_of(found[chunk]) if chunk in found else None
            # A copy whose source could not say what it was made for is found out by its own bytes.
            if sidecar is None or "pack" not in sidecar:
                continue
            if sidecar.get("files") != entries:
                self.fail("I22", f"{found[chunk]}.json lists other files than its pack's manifest")
            if sidecar.get("filesSum") != packs.files_sum(found[chunk]):
                self.fail("I22", f"{found[chunk]}.json has a list that is not what it was")

    def copies(self, no, chunk):
        """The files of a chunk; says where catalog and disk differ."""
        query = "SELECT keeper FROM replica WHERE chunk = ?"
        recorded = {number for (number,) in self.database.execute(query, (no,))}
        for number, (name, found) in self.keepers.items():
            if chunk in found:
                yield found[chunk]
                if number not in recorded:
                    self.fail("I6", f"chunk {chunk} lies on {name}, the catalog does not say so")
            elif number in recorded:
                self.fail("I3", f"chunk {chunk} is to be on {name}, and is not")

    def is_whole(self, path, size, sums):
        """Whether a copy has the right length and bytes, and a sidecar that says so."""
        if os.path.getsize(path) != size:
            self.fail("I3", f"{path} has {os.path.getsize(path)} bytes instead of {size}")
            return False
        if disks.sums_of(path) != sums:
            self.fail("I3", f"{path} has wrong bytes")
            return False
        sidecar = disks.sidecar_of(path)
        if sidecar is None or (sidecar["sizeBytes"], sidecar["sums"]) != (size, sums.hex()):
            self.fail("I3", f"{path} has a wrong sidecar")
            return False
        return True

    def check_strays(self):
        """No file of a chunk that nothing needs."""
        query = "SELECT id FROM chunk WHERE refs > 0"
        used = {chunk for (chunk,) in self.database.execute(query)}
        for name, found in self.keepers.values():
            for chunk, path in found.items():
                if chunk not in used:
                    self.fail("I6", f"{path}: nothing needs this chunk any more")

    def check_files(self):
        """Names and bytes are those that the model knows, no more and no less."""
        expected = {file["path"]: file for file in self.facts["files"]}
        found = catalog.files_below(self.database, self.facts["prefix"])
        for path in sorted(expected.keys() - found.keys()):
            self.fail("I1", f"{path} is gone")
        for path in sorted(found.keys() - expected.keys()):
            self.fail("I2", f"{path} is there, and should not be")
        for path in sorted(expected.keys() & found.keys()):
            self.check_file(path, expected[path], *found[path])

    def check_file(self, path, expected, inode, size, checksum):
        """One file, put together from the disks, equals what its generator makes."""
        self.counts["files"] += 1
        self.counts["bytes"] += size
        if (size, checksum) != (expected["size"], expected["digest"]):
            self.fail("I1", f"{path} has {size} bytes, {checksum}: another version")
            return
        self.check_rescue(path, expected["name"], inode, size)
        made = content.blocks(expected["name"], size)
        read = self.blocks_of(path, inode)
        if any(left != right for left, right in itertools.zip_longest(made, read)):
            self.fail("I4", f"{path} has other bytes than were put")

    def check_rescue(self, path, name, inode, size):
        """Whoever has only the disks finds a packed file under the name that it was put by."""
        if size == 0:
            # All empty contents are one.
            return
        for _, _, chunk, start in catalog.extents_of(self.database, inode):
            if chunk not in self.manifests:
                continue
            put_as = name[name.index(":") + 1:name.rindex("#")]
            wanted = (put_as, start, size)
            found = ((each["path"], each["offset"], each["sizeBytes"]) for each in self.manifests[chunk])
            if wanted not in found:
                self.fail("I22", f"{path}, put as {put_as}, could not be rescued from its pack")

    def blocks_of(self, path, inode):
        """Yields the blocks of a file from one whole copy of each of its chunks."""
        end = 0
        for offset, length, chunk, start in catalog.extents_of(self.database, inode):
            if offset != end or chunk not in self.good:
                self.fail("I1", f"{path} has no good copy of its bytes from {end} on")
                return
            end = offset + length
            with open(self.good[chunk], "rb") as file:
                file.seek(start)
                for at in range(0, length, content.BLOCK_BYTES):
                    yield file.read(min(content.BLOCK_BYTES, length - at))

    def check_policies(self):
        """No file is held under less than its own policy asks for (I23)."""
        for inode in catalog.weakly_held(self.database):
            self.fail("I23", f"inode {inode} is held under less than it wants")
        for inode, keeper in catalog.wrongly_placed(self.database):
            self.fail("I23", f"inode {inode} lies on keeper {keeper}, which lacks what it requires")

    def check_rest(self):
        """After the times that are set, neither trash nor uploads nor loose packs are left."""
        for chunk in catalog.sparse_packs(self.database):
            self.fail("I21", f"pack {chunk} is more than half dead, and was not compacted")
        for chunk in catalog.parted_packs(self.database):
            self.fail("I21", f"pack {chunk} has files of several policies, and was not parted")
        for table, what in (("trash", "the trash"), ("upload", "uploads")):
            count = self.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if count > 0:
                self.fail("I11", f"{what}: {count} rows are left after their time")

    def check_ids(self):
        """A chunk's id stands for the same bytes as at all earlier looks."""
        query = "SELECT id, size || ':' || hex(sums) FROM chunk WHERE length(sums) > 0"
        now = dict(self.database.execute(query))
        seen = read_json(self.facts["memory"], {})
        for chunk in sorted(seen.keys() & now.keys()):
            if seen[chunk] != now[chunk]:
                self.fail("I9", f"chunk {chunk} had other bytes before")
        with open(self.facts["memory"], "w", encoding="utf-8") as file:
            json.dump({**seen, **now}, file)

    def check_canary(self):
        """What lies beside the cluster is as it was."""
        canary = self.facts["canary"]
        if tree_digest(canary["dir"]) != canary["digest"]:
            self.fail("I17", f"{canary['dir']} was changed")


def read_json(path, otherwise):
    """What a file of JSON says; `otherwise` when there is none."""
    if not os.path.exists(path):
        return otherwise
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def tree_digest(directory):
    """A digest of names and bytes of a tree of files."""
    digest = hashlib.sha256()
    for root, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                digest.update(f"{os.path.relpath(path, directory)}\n".encode() + file.read())
    return digest.hexdigest()


def main():
    """Checks; the exit status says whether all is well."""
    check = Check(read_json(sys.argv[1], None))
    check.run()
    for broken in check.broken:
        print(json.dumps(broken))
    print(json.dumps(check.counts))
    return 1 if check.broken else 0


if __name__ == "__main__":
    sys.exit(main())
