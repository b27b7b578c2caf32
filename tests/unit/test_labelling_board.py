"""What a queue's events amount to, whatever their order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from digits.contract.label import Event, Progress
from digits.contract.labelling_board import Board, Item

SAMPLES = "abcd"
CONTROL = "d"
WHO = ("rater_a", "rater_b", "rater_c")

answers = st.tuples(
    st.sampled_from(SAMPLES),
    st.sampled_from(WHO),
    st.sampled_from(["label", "skip", "undo", "withdraw"]),
    st.integers(3, 4),
)


def board() -> Board:
    board = Board()
    rows = enumerate(SAMPLES, 1)
    board.add(Item(number, number, each, 7 if each == CONTROL else None) for number, each in rows)
    return board


def counted(answered: dict[tuple[str, str], int | None]) -> Progress:
    """Count from the answers that stand, None for a skip."""
    labelled = disputed = skipped = 0
    for sample in SAMPLES.replace(CONTROL, ""):
        mine = [label for (of, _), label in answered.items() if of == sample]
        votes = Counter(label for label in mine if label is not None).most_common(2)
        is_tie = len(votes) == 2 and votes[0][1] == votes[1][1]
        labelled += bool(votes) and not is_tie
        disputed += is_tie
        skipped += bool(mine) and not votes
    return Progress(len(SAMPLES) - 1, labelled, disputed, skipped)


@given(st.lists(answers, max_size=30))
def test_progress_is_what_a_count_of_the_standing_answers_gives(wanted):
    seen, answered = board(), {}
    for number, (sample, who, action, label) in enumerate(wanted, 1):
        stands = seen.standing(sample, who)
        if (action in ("undo", "withdraw")) != (stands is not None):
            continue  # only what was answered can be taken back, and it is answered once
        of = stands.number if stands is not None else None
        said = label if action == "label" else None
        seen.apply(Event(number, sample, float(number), who, action, said, of))
        if of is None:
            answered[sample, who] = said
        else:
            del answered[sample, who]
        assert seen.progress() == counted(answered)
    again = board()
    assert again.progress() == Progress(len(SAMPLES) - 1, 0, 0, 0)


def test_queue_that_grows_keeps_what_was_counted():
    seen = board()
    seen.apply(Event(1, "a", 1.0, "rater_a", "label", 3, None))
    seen.add([Item(5, 1, "e", None), Item(6, 2, "f", 4)])
    assert seen.progress() == Progress(4, 1, 0, 0)


def test_share_of_controls_is_asked_and_none_twice():
    seen = Board()
    seen.add(Item(place, place, f"{place}", 1 if place % 4 == 0 else None) for place in range(200))
    asked: list[Item] = []
    while (item := seen.choose("rater_a", ())) is not None:
        asked.append(item)
        seen.apply(Event(len(asked), item.sample, 1.0, "rater_a", "label", 1, None))
    assert len({each.sample for each in asked}) == len(asked)
    assert sum(each.control is None for each in asked) == 150
    assert 20 < sum(each.control is not None for each in asked) <= 50
