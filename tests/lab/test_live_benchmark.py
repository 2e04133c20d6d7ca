"""The benchmark of the lab's waits: what it measures exists, and its records make a table. Nothing is timed."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import _lab_worker, _table, lab  # noqa: E402

from widelimit.recipes.live import LiveConfig, clamp  # noqa: E402


def test_waits_and_rates_are_positive_and_states_are_allowed():
    config = LiveConfig(width=16)
    assert _lab_worker.first_frame(config) > 0
    assert _lab_worker.frames_per_second(config, 0.05) > 0
    assert all(clamp(state) == (state, ()) for state in _lab_worker.LARGEST.values())


def test_records_are_lines_and_a_table(monkeypatch, capsys):
    found = {**dict.fromkeys(lab.WORDS, 0.5), "rates": {"default": 50.0, "width 4096": 20.0}}
    monkeypatch.setattr(lab, "_measure", lambda _cache: found)
    records = lab.run()
    assert len(records) == len(lab.WORDS) + 2
    assert {record["unit"] for record in records} == {"s", "frames/s"}
    _table.write_lines(records, None)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == records
    lab.report(records)
    assert "first frame of the default state" in capsys.readouterr().out
