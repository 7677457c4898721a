"""Writes the Parquet files of test/golden/data: own sentences, one file a compression, several row groups.

Made with: Python 3.11, pyarrow 26.0.1.
Run: python scripts/golden/parquet.py
"""
import os
import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden", "data")

table = pa.table({
    "id": pa.array(range(7), pa.int64()),
    "source": [f"Satz {i} über Vögel 🐦" for i in range(7)],
    "target": [f"sentence {i} about birds" for i in range(7)],
    "references": pa.array([[f"sentence {i} about birds", f"line {i} on birds"][: 1 + i % 2] for i in range(7)], pa.list_(pa.string())),
    "answers": [{"text": [f"line {i}"], "start": [i]} for i in range(7)],
})
for compression in ("none", "snappy", "gzip", "zstd"):
    pq.write_table(table, f"{HERE}/birds-{compression}.parquet", compression=compression, row_group_size=3, store_schema=False)
