"""The bytes that the workload writes, made anew from their names (see ../content.ts)."""

import hashlib
import struct

PAGE_BYTES = 4096
BLOCK_BYTES = 1 << 20


def base_page(name):
    """The page that all pages of a content are made of."""
    digests = (hashlib.sha256(f"{name}\n{index}".encode()).digest() for index in range(128))
    return b"".join(digests)


def blocks(name, size):
    """Yields the blocks of 1 MiB of the content `name`; the last one may be short."""
    tail = base_page(name)[8:]
    for offset in range(0, size, BLOCK_BYTES):
        length = min(BLOCK_BYTES, size - offset)
        first = offset // PAGE_BYTES
        pages = -(-length // PAGE_BYTES)
        numbers = (struct.pack("<Q", first + page) for page in range(pages))
        yield b"".join(number + tail for number in numbers)[:length]
