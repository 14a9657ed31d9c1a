"""Packs as they lie on a disk: many small files, then a manifest. Read without any code of tydfs."""

import struct

import xxhash

MAGIC = b"tydfpack"
LIST_START = b'\n "files": ['


class Malformed(Exception):
    """These bytes are no manifest."""


def manifest_of(path):
    """The entries of the pack's manifest and where it begins. Raises `Malformed`."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 12 or data[-8:] != MAGIC:
        raise Malformed("it does not end as a pack")
    (length,) = struct.unpack(">I", data[-12:-8])
    start = len(data) - 12 - length
    if start < 0:
        raise Malformed("its manifest would be longer than it")
    try:
        entries, end = decode(data, start)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"its manifest can't be decoded: {error}") from error
    if end != len(data) - 12:
        raise Malformed(f"its manifest has {len(data) - 12 - end} bytes too many")
    # What is left open is not there in a sidecar.
    return [{key: value for key, value in each.items() if value is not None} for each in entries], start


def files_sum(path):
    """The sum of the list of files in a pack's sidecar, as the sidecar is to tell it."""
    with open(path + ".json", "rb") as file:
        data = file.read()
    start = data.find(LIST_START)
    return None if start < 0 else xxhash.xxh3_64_hexdigest(data[start:])


def decode(data, at):
    """One item of CBOR (RFC 8949) from `at` on, and where the next one begins."""
    major, info = data[at] >> 5, data[at] & 31
    if major == 7:
        return decode_simple(data, at, info)
    count, at = argument(data, at + 1, info)
    if major == 0:
        return count, at
    if major == 1:
        return -1 - count, at
    if major in (2, 3):
        taken = data[at:at + count]
        if len(taken) != count:
            raise IndexError("a string ends too soon")
        return (taken if major == 2 else taken.decode()), at + count
    if major == 4:
        return decode_items(data, at, count)
    if major == 5:
        items, at = decode_items(data, at, 2 * count)
        return dict(zip(items[::2], items[1::2])), at
    raise Malformed("a manifest has no tags")


def decode_items(data, at, count):
    """Items that follow each other."""
    items = []
    for _ in range(count):
        item, at = decode(data, at)
        items.append(item)
    return items, at


def argument(data, at, info):
    """The number that belongs to an item's first byte."""
    if info < 24:
        return info, at
    if info > 27:
        raise Malformed("a length is not told")
    size = 1 << (info - 24)
    return int.from_bytes(data[at:at + size], "big"), at + size


def decode_simple(data, at, info):
    """Constants, and numbers that are not whole or too large for the others."""
    constants = {20: False, 21: True, 22: None, 23: None}
    if info in constants:
        return constants[info], at + 1
    formats = {25: ">e", 26: ">f", 27: ">d"}
    if info not in formats:
        raise Malformed(f"a manifest has no simple value {info}")
    (number,) = struct.unpack_from(formats[info], data, at + 1)
    return (int(number) if number == int(number) else number), at + 1 + struct.calcsize(formats[info])
