"""A log that does not fill the disk."""

from __future__ import annotations

from digits.deployment.log_file import keep_short


def test_long_log_is_moved_and_written_on(tmp_path):
    file = tmp_path / "service.log"
    with file.open("a") as log:
        print("old " * 50, file=log, flush=True)
        keep_short(file, most=300)
        assert not (tmp_path / "service.log.1").exists()
        keep_short(file, most=100)
        print("new", file=log, flush=True)
    assert file.read_text() == "new\n"
    assert (tmp_path / "service.log.1").read_text() == "old " * 50 + "\n"


def test_log_that_is_not_there_is_no_fault(tmp_path):
    keep_short(tmp_path / "service.log")
