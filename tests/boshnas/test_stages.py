from pathlib import Path

import pytest

from boshnas.job import PROGRESS_FILE, SAVED_FILE, Job, Progress, Saved, read_model
from boshnas.stages import STAGES_FILE, Outcome, Report, Stages

JOB = Job(number=0, id="a", architecture={"l": 2}, seed=1, settings={})


def test_progress_is_written_at_most_twice_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("boshnas.stages.time.monotonic", lambda: now[0])
    seen = []

    def work(report: Report) -> Outcome:
        for step in range(1, 6):
            report(step, 5)
            seen.append(read_model(tmp_path / PROGRESS_FILE, Progress).step)
            now[0] += 0.3
        return {}

    Stages(JOB, tmp_path).run("pretrain", work)
    assert seen == [1, 1, 3, 3, 5]


def test_a_finished_stage_is_kept_for_another_attempt(tmp_path: Path):
    calls: list[str] = []

    def work(report: Report) -> Outcome:
        calls.append("worked")
        return {"loss": 0.1}

    first = Stages(JOB, tmp_path)
    assert first.run("pretrain", work) == {"loss": 0.1}
    assert read_model(tmp_path / SAVED_FILE, Saved) == Saved(stage="pretrain", step=-1)
    again = Stages(JOB.model_copy(update={"attempt": 2, "batch_split": 2}), tmp_path)
    assert again.run("pretrain", work) == {"loss": 0.1}
    assert again.seconds == first.seconds
    assert calls == ["worked"]


@pytest.mark.parametrize("change", [{"seed": 2}, {"settings": {"rate": 1}}, {"architecture": {"l": 4}}])
def test_stages_of_another_job_are_done_again(tmp_path: Path, change: dict[str, object]):
    Stages(JOB, tmp_path).run("pretrain", lambda report: {"loss": 1})
    assert Stages(JOB.model_copy(update=change), tmp_path).run("pretrain", lambda report: {"loss": 2}) == {"loss": 2}


def test_a_torn_file_is_nothing_finished(tmp_path: Path):
    Stages(JOB, tmp_path).run("pretrain", lambda report: {})
    path = tmp_path / STAGES_FILE
    path.write_text(path.read_text()[:30])
    assert Stages(JOB, tmp_path).seconds == {}


def test_a_stage_that_fails_is_not_kept(tmp_path: Path):
    def fail(report: Report) -> Outcome:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Stages(JOB, tmp_path).run("pretrain", fail)
    assert not (tmp_path / STAGES_FILE).exists()


def test_forgetting_a_stage_forgets_what_followed(tmp_path: Path):
    stages = Stages(JOB, tmp_path)
    for name in ("pretrain", "cola", "sst2"):
        stages.run(name, lambda report: {})
    stages.forget("cola")
    assert list(stages.seconds) == ["pretrain"]
    stages.forget("absent")
    assert list(stages.seconds) == ["pretrain"]
