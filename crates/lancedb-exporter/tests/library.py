"""Does with the real library what a test asks for, line by line, and answers with what the library says of the tables.

usage: lancedb-python library.py DIR    each line of the input names one of the functions under OPERATIONS
"""

import datetime
import json
import pathlib
import sys
import warnings

import lancedb
import pyarrow as pa

warnings.simplefilter("ignore")


def rows(first, end):
    return pa.table({"id": pa.array(range(first, end), pa.int64())})


def vectors(count):
    values = [[float(i % 7), float(i % 11)] for i in range(count)]
    return pa.table({"vector": pa.array(values, pa.list_(pa.float32(), 2))})


def create(db):
    db.create_table("events", rows(0, 100))
    db.create_table("searchable", vectors(256))


def append(db):
    db.open_table("events").add(rows(100, 150))


def delete(db):
    db.open_table("events").delete("id < 10")


def index(db):
    db.open_table("events").create_scalar_index("id")
    table = db.open_table("searchable")
    table.create_index(metric="l2", num_partitions=1, index_type="IVF_FLAT", vector_column_name="vector")
    table.add(vectors(4))


def merge(db):
    """Three rows change, five come in."""
    merge = db.open_table("events").merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    merge.execute(rows(147, 155))


def update(db):
    db.open_table("events").update(where="id = 50", values={"id": 1050})


def tag(db):
    table = db.open_table("events")
    table.tags.create("keep", table.version)


def compact(db):
    db.open_table("events").optimize()


def untag(db):
    db.open_table("events").tags.delete("keep")


def prune(db):
    db.open_table("events").optimize(cleanup_older_than=datetime.timedelta(0))


def overwrite(db):
    db.create_table("events", rows(0, 30), mode="overwrite")


def restore(db):
    table = db.open_table("events")
    table.checkout(table.version - 1)
    table.restore()


def one_by_one(db):
    table = db.open_table("events")
    for i in range(1500):
        table.add(rows(10_000 + i, 10_001 + i))


def churn(db):
    """Much at once: appends, deletes, compactions that remove all old versions, tables that come and go."""
    table = db.open_table("events")
    for i in range(12):
        for j in range(10):
            table.add(rows(20_000 + 10 * i + j, 20_001 + 10 * i + j))
        table.delete(f"id = {10_000 + i}")
        table.optimize(cleanup_older_than=datetime.timedelta(0))
        db.create_table("passing", rows(0, i + 1), mode="overwrite")
        db.drop_table("passing")


def drop(db):
    db.drop_table("events")


OPERATIONS = [
    create, append, delete, index, merge, update, tag, compact, untag, prune, overwrite, restore, one_by_one, churn, drop
]


def describe(db, folder, name):
    """What the library says of a table, and what its files take."""
    table = db.open_table(name)
    stats = table.stats()
    indices = {index.name: table.index_stats(index.name).num_unindexed_rows for index in table.list_indices()}
    versions = table.list_versions()
    return {
        "rows": table.count_rows(),
        "version": table.version,
        "versions": len(versions),
        "fragments": stats["fragment_stats"]["num_fragments"],
        "deleted_rows": int(versions[-1]["metadata"]["total_deletion_file_rows"]),
        "size_bytes": stats["total_bytes"],
        "disk_bytes": sum(file.stat().st_size for file in (folder / f"{name}.lance").rglob("*") if file.is_file()),
        "unindexed_rows": indices,
    }


def describe_all(folder):
    db = lancedb.connect(folder)
    return {name: describe(db, folder, name) for name in sorted(path.stem for path in folder.glob("*.lance"))}


def main():
    folder = pathlib.Path(sys.argv[1])
    operations = {operation.__name__: operation for operation in OPERATIONS}
    for line in sys.stdin:
        operations[line.strip()](lancedb.connect(folder))
        print(json.dumps(describe_all(folder)), flush=True)


if __name__ == "__main__":
    main()
