"""A process that writes events into a store: ``python -m store_writer URL NAME COUNT``; it says when each is durable."""

import sys

import polars as pl

from kinema.store.opening import open_store


def main(url, name, count):
    store = open_store(url)
    for number in range(count):
        size = 1 + number % 3
        rows = {"user": name, "item": "a", "timestamp_ms": range(number * 10, number * 10 + size), "kind": "click"}
        store.write_events(pl.DataFrame(rows), create_items=True)
        sys.stdout.write(f"{size}\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            break
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
