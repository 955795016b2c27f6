import os

import pytest

from quorate.durable.trace import Event, Header, Trace, load
from quorate.errors import DataError, EnvironmentFault, PeerTimeout, UserError

HEADER = Header(
    session="cafe", name="total", spec="ab" * 32, software="quorate 1", participants=("a", "b", "c"), me=1, started=5.0
)


def filled(path, count=3):
    trace = Trace(path, HEADER)
    for step in range(count):
        trace.message("in", 0, (7, step), 100 + step)
        trace.message("out", 2, (7, step), 50)
    trace.flush()
    return trace


def shown(path):
    return [(event.what, event.peer, event.message, event.size) for event in load(path).messages]


BOTH = [line for step in range(3) for line in (("in", 0, (7, step), 100 + step), ("out", 2, (7, step), 50))]


def test_what_was_noted_is_read_in_order(tmp_path):
    path = tmp_path / "folder" / "trace.jsonl"
    trace = filled(path)
    trace.rows({"x": 12})
    trace.stock({"AND words": 5})
    trace.note("stage", "2 of 5")
    trace.failed(PeerTimeout("no message from b"))
    trace.close()
    trace.close()
    found = load(path)
    assert found.header == HEADER
    assert shown(path) == BOTH
    assert (found.rows, found.stock) == ({"x": 12}, {"AND words": 5})
    assert (found.failure.error, found.failure.text) == ("PeerTimeout", "no message from b")
    assert [event.what for event in found.events[6:]] == ["rows", "stock", "stage", "failed"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_an_error_says_of_data_stays_out(tmp_path):
    trace = filled(tmp_path / "t")
    trace.failed(DataError("row 7: 4711 is too large"))
    trace.close()
    assert b"4711" not in (tmp_path / "t").read_bytes()
    assert load(tmp_path / "t").failure.error == "DataError"


def test_messages_computed_again_after_a_restart_appear_once(tmp_path):
    """Those that were noted and did not reach the file appear now."""
    path = tmp_path / "t"
    trace = filled(path, 2)
    trace.message("in", 0, (7, 2), 102)
    del trace  # killed before it was written
    again = Trace(path, HEADER)
    again.note("restart")
    for what, peer, name, size in BOTH:
        again.message(what, peer, name, size, again=True)
    again.message("in", 0, (8, 0), 9)
    again.message("in", 0, (8, 1), 9)
    again.close()
    assert shown(path) == [*BOTH, ("in", 0, (8, 0), 9), ("in", 0, (8, 1), 9)]


def test_a_line_that_was_cut_off_is_left_out_and_removed(tmp_path):
    path = tmp_path / "t"
    filled(path).close()
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(start, len(whole)):
        for rest in (b"", b"\0" * 9):
            path.write_bytes(whole[:cut] + rest)
            assert shown(path) == BOTH[:-1]
            again = Trace(path, HEADER)
            again.message("out", 2, (7, 2), 50, again=True)
            again.close()
            assert shown(path) == BOTH


def test_a_trace_of_which_not_even_the_header_is_there(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b'{"session"')
    with pytest.raises(UserError, match="interrupted before it began"):
        load(path)
    filled(path).close()
    assert shown(path) == BOTH


def test_what_is_no_trace_is_refused(tmp_path):
    path = tmp_path / "t"
    filled(path).close()
    whole = path.read_bytes()
    for wrong in (
        b'{"session":7}\n',
        b"\xff\n",
        whole.replace(b'"me":1', b'"me":1,"version":2'),
        whole.replace(b'"me":1', b'"me":3'),
        whole.replace(b'"peer":2', b'"peer":1'),
        whole.replace(b'"peer":2', b'"peer":3'),
        whole.replace(b'"scope":"0', b'"scope":"x'),
        whole.replace(b'"size":50', b'"size":"50"'),
    ):
        assert wrong != whole
        path.write_bytes(wrong)
        with pytest.raises((EnvironmentFault, UserError)):
            load(path)
    path.write_bytes(whole)
    other = Header(**{**{name: getattr(HEADER, name) for name in HEADER.__struct_fields__}, "session": "beef"})
    with pytest.raises(EnvironmentFault, match="another session"):
        Trace(path, other)


def test_a_large_trace_says_that_messages_are_left_out(tmp_path):
    path = tmp_path / "t"
    trace = Trace(path, HEADER, most_bytes=2000)
    for step in range(1, 100):
        trace.message("in", 0, (7, step), 1)
        trace.flush()
    trace.note("ended")
    trace.close()
    found = load(path)
    assert [event.what for event in found.events[-2:]] == ["full", "ended"]
    assert path.stat().st_size < 2400
    again = Trace(path, HEADER, most_bytes=2000)
    again.message("in", 0, (9, 1), 1)
    again.close()
    assert load(path).events == found.events


def test_a_full_disk_keeps_the_lines_for_later(tmp_path, monkeypatch):
    path = tmp_path / "t"
    trace = filled(path, 2)
    trace.message("in", 0, (7, 2), 102)
    trace.message("out", 2, (7, 2), 50)
    real, calls = os.write, []

    def partly(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:7])

    monkeypatch.setattr(os, "write", partly)
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        trace.flush()
    monkeypatch.setattr(os, "write", real)
    trace.close()
    assert shown(path) == BOTH


def test_times_are_those_since_the_start(tmp_path):
    filled(tmp_path / "t").close()
    assert all(event.time > 1e9 for event in load(tmp_path / "t").events), "it started in 1970"
    assert Event(what="in", scope="f" * 16, step=3).message == (2**64 - 1, 3)
