"""The claim review as the server writes it: it reads without scripts, and a changed witness asks for a new review."""

import dataclasses
import re

import msgspec
import pytest

from widelimit.lab import _content, _page, record
from widelimit.lab.parts import PARTS
from widelimit.recipes import witnesses
from widelimit.recipes.exhibits import ensemble_band
from widelimit.recipes.live import LiveConfig

(PART,) = (part for part in PARTS if part.key == "review")


@pytest.fixture(scope="module")
def review():
    return _content.load(PART)


def written(**changes):
    """Return the review as HTML, with other words in the place of its own."""
    env = _page.environment()
    content = {**env.globals["content"], "review": msgspec.structs.replace(_content.load(PART), **changes)}
    html = env.get_template(PART.template).render(content=content)
    return html, re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_all_of_it_reads_without_scripts(review):
    html, text = written()
    for words in (review.lead, review.silent_title, review.silent_lead, *review.silent, *review.disclaimers):
        assert words in text
    for evidence in review.evidence:
        assert evidence.title in text
        assert html.count(f'data-witness="{evidence.name}"') == 1
    for key in {*(claim.key for claim in review.claims), *(support.key for support in review.supports)}:
        assert f'data-key="{key}"' in html


def test_what_it_does_not_certify_names_each_limit(review):
    words = " ".join(review.silent).lower()
    for limit in ("finite width", "architecture", "parameterization", "loss", "optimiser", "generalises"):
        assert limit in words


def test_every_witness_has_an_object_and_every_equation_a_witness(review):
    objects = _page.objects()
    equations = {key for key, item in objects.items() if item.kind == "equation"}
    assert equations <= {evidence.key for evidence in review.evidence if evidence.kind == "equation"}
    assert all(evidence.key in objects for evidence in review.evidence)
    assert {evidence.kind for evidence in review.evidence} == {"equation", "code", "demo"}


def test_counter_witnesses_stand_apart(review):
    html, _ = written()
    apart = html[html.index('class="witnesses counter"') :]
    for evidence in review.evidence:
        assert (f'data-name="{evidence.name}"' in apart) is evidence.counter
        assert evidence.counter is evidence.name.startswith("counter_")


def test_a_changed_witness_asks_for_a_new_review(review, monkeypatch):
    assert review.changed not in written()[1]
    real = witnesses.witness_hash
    monkeypatch.setattr(witnesses, "witness_hash", lambda name: "0" * 64 if name == "eq_ode" else real(name))
    html, _ = written()
    asked = re.findall(r'<li class="witness" data-name="(\w+)">(.*?)</li>', html, re.DOTALL)
    assert [name for name, inner in asked if review.changed in inner] == ["eq_ode"]


@pytest.mark.parametrize("shared", ["_common.py", "_kernel_cell.py"])
def test_the_hash_of_a_witness_covers_what_it_reads(shared, tmp_path, monkeypatch):
    folder = witnesses.importlib.resources.files(witnesses.__name__)
    for file in folder.iterdir():
        if file.name.endswith(".py"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    before = witnesses.witness_hash("code_trap")
    monkeypatch.setattr(witnesses.importlib.resources, "files", lambda _: tmp_path)
    assert witnesses.witness_hash("code_trap") == before
    (tmp_path / shared).write_text("changed")
    assert witnesses.witness_hash("code_trap") != before


def test_a_witness_that_is_not_listed_is_refused(review):
    fewer = msgspec.to_builtins(review)
    fewer["evidence"] = fewer["evidence"][1:]
    with pytest.raises(msgspec.ValidationError, match="'eq_ntk' is either unknown or not listed"):
        msgspec.convert(fewer, PART.record)
    fewer["evidence"] = [one for one in msgspec.to_builtins(review)["evidence"] if not one["counter"]]
    with pytest.raises(msgspec.ValidationError, match="not listed"):
        msgspec.convert(fewer, PART.record)


def test_all_that_is_listed_was_reviewed_as_it_stands(review):
    assert [evidence.name for evidence in review.evidence if not evidence.stands] == []


@pytest.fixture
def changed(tmp_path, monkeypatch, review):
    """A review whose witness eq_ntk has changed since."""
    file = tmp_path / "review.toml"
    old = next(evidence.hash for evidence in review.evidence if evidence.name == "eq_ntk")
    text = record.REVIEW.read_text(encoding="utf-8")
    file.write_text(text.replace(old, "0123456789abcdef"), encoding="utf-8")
    monkeypatch.setattr(record, "REVIEW", file)
    return file, text


def test_reviewing_shows_claim_and_witness_and_writes_nothing(changed, capsys):
    file, text = changed
    before = file.read_text(encoding="utf-8")
    assert record.main(["--review"]) == 0
    said = capsys.readouterr().out
    for words in ("eq_ntk: The kernel is an inner product", "a network trains as kernel regression", "passed"):
        assert words in said
    assert "eq_loss" not in said
    assert file.read_text(encoding="utf-8") == before != text


def test_an_approved_witness_that_passes_stands_again(changed):
    file, text = changed
    assert record.main(["--review", "eq_ntk", "--approve"]) == 0
    assert file.read_text(encoding="utf-8") == text


def test_a_witness_that_fails_is_not_approved(changed, monkeypatch, capsys):
    file, _ = changed
    before, real = file.read_text(encoding="utf-8"), witnesses.run
    monkeypatch.setattr(witnesses, "run", lambda name: dataclasses.replace(real(name), passed=False))
    assert record.main(["--review", "eq_ntk", "--approve"]) == 1
    assert "FAILED: the hash stays as it is" in capsys.readouterr().out
    assert file.read_text(encoding="utf-8") == before


def test_an_unknown_witness_and_an_approval_without_review_are_refused(capsys):
    with pytest.raises(ValueError, match="there is no witness 'eq_nothing' in the review; expected some of eq_ntk"):
        record.main(["--review", "eq_nothing"])
    with pytest.raises(SystemExit):
        record.main(["--approve"])
    assert "--approve belongs to --review" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize(("at", "width"), list(enumerate((512, 2048, 8192))))
def test_what_is_said_of_the_band_is_what_trained_networks_do(at, width):
    band = _content.load(next(part for part in PARTS if part.key == "demo")).band
    said = re.search(
        r"after (\d+) steps of size ([\d.]+), (\d+) networks .* have (.*) of their outputs within it at widths (.*), "
        r"where the limit has 95 %, and a spread of (.*) times that of the limit",
        band,
    )
    inside, widths, spread = (re.findall(r"[\d.]*\d", said[group]) for group in (4, 5, 6))
    assert widths[at] == str(width)
    demo = LiveConfig()
    config = ensemble_band.Config(
        width=width,
        networks=int(said[3]),
        points=demo.points,
        steps=int(said[1]),
        step=float(said[2]),
        weight_std=demo.weight_std,
        bias_std=demo.bias_std,
    )
    assert config.step == demo.step
    found = {number.key: number.value for number in ensemble_band.run(config).numbers}
    assert found["inside"] == pytest.approx(float(inside[at]) / 100, abs=0.02)
    assert found["spread"] == pytest.approx(float(spread[at]), abs=0.06)
