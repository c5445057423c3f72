"""A study over time: commits in the order of the rows."""

import pytest
from fake_rows import fake_row, fake_rows

from aqtaudio.study.measures import metrics
from aqtaudio.study.pareto import hypervolumes, points
from aqtaudio.study.reference import reference_point
from aqtaudio.study.timeline import timeline


def test_each_commit_alone_and_with_all_before():
    rows = [{**row, "commit": f"c{i % 3}"} for i, row in enumerate(fake_rows())]
    rows.append({**fake_row("w8a8", 99, 0), "commit": None})
    reference = reference_point(rows, metrics(rows), "accuracy")
    moments = timeline(rows, reference, "accuracy")
    assert [moment.commit for moment in moments] == ["c0", "c1", "c2"]
    so_far = []
    for moment in moments:
        own = [row for row in rows if row["commit"] == moment.commit]
        so_far += own
        together = points(so_far)
        assert moment.runs == len(own)
        assert moment.best == max(point.quality for point in points(own))
        assert moment.best_so_far == pytest.approx(max(point.quality for point in together))
        assert moment.areas == pytest.approx(hypervolumes(points(own), reference))
        assert moment.areas_so_far == pytest.approx(hypervolumes(together, reference))
