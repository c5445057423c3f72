"""What a running sweep shows."""

from aqtaudio.study.progress import last_metrics


def test_progress_reads_the_last_whole_line(tmp_path):
    assert last_metrics(tmp_path) == {}
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 1}\n{"step": 2}\n{"epoch": 1}\n[]\n{"ste')
    assert last_metrics(tmp_path) == {"step": 2}
    metrics.write_text('{"step"')
    assert last_metrics(tmp_path) == {}
