"""Ids of predictions: UUIDs that nobody guesses and that tell when they were made."""

from __future__ import annotations

import time
import uuid

from digits.contract.prediction import issued, new_id, new_ids


def test_ids_are_uuids_of_version_7_of_now():
    before = time.time()
    ids = [new_id(), *new_ids(5000)]
    for each in map(uuid.UUID, ids):
        assert (each.version, each.variant) == (7, uuid.RFC_4122)
    assert len(set(ids)) == 5001
    assert all(before - 0.001 <= issued(each) <= time.time() for each in ids)


def test_every_bit_that_is_not_fixed_is_drawn():
    together, common = 0, (1 << 128) - 1
    for each in new_ids(200):
        together, common = together | int(each, 16), common & int(each, 16)
    free = 0x0FFF_3FFF_FFFF_FFFF_FFFF
    assert together & free == free and common & free == 0


def test_ids_are_in_the_order_of_their_making():
    ids = []
    for _ in range(3):
        ids.append(new_id())
        time.sleep(0.003)
    assert ids == sorted(ids)


def test_what_is_no_id_of_ours_was_never_issued():
    assert issued("0" * 32) is None
