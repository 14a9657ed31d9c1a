"""What lies on the keepers' disks, read without any code of tydfs."""

import json
import os
import re

import xxhash

BLOCK_BYTES = 1 << 20
ID = re.compile(r"^[0-9a-f]{32}$")


def chunk_files(directory):
    """Maps each chunk id below `directory`/chunks to its path; also yields what is no chunk."""
    found, strange = {}, []
    for root, _, names in os.walk(os.path.join(directory, "chunks")):
        for name in names:
            path = os.path.join(root, name)
            chunk = name[:-5] if name.endswith(".json") else name
            place = os.path.join(directory, "chunks", chunk[:2], chunk[2:4])
            if not ID.match(chunk) or root != place:
                strange.append(path)
            elif name == chunk:
                found[chunk] = path
            elif not os.path.exists(os.path.join(root, chunk)):
                strange.append(path)
    return found, strange


def sums_of(path):
    """XXH3-64 of each block of a file, as the catalog keeps them."""
    sums = bytearray()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            sums += xxhash.xxh3_64_digest(block)
    return bytes(sums)


def sidecar_of(path):
    """The sidecar of a chunk file; None when it is missing or malformed."""
    try:
        with open(path + ".json", encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def temporary_files(directory):
    """What lies in `tmp`: nothing, when no transfer is under way."""
    place = os.path.join(directory, "tmp")
    return sorted(os.path.join(place, name) for name in os.listdir(place)) if os.path.isdir(place) else []
