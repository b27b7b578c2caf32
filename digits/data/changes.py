"""What changed between two data versions of one stage, sample by sample."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.archive import PARTS, arrays_of
from digits.data.folder import prepared
from digits.data.raw import Raw, unpacked
from digits.data.types import Digits


@dataclass(frozen=True)
class Sample:
    """One labelled picture of a version.

    Attributes:
        place: where it stands: ``train[12]``, or the name of its file.
        part: the split or published part; empty where there is none.
        label: its class.
        picture: uint8 ``[H, W]``, made when it is asked for.
    """

    place: str
    part: str
    label: int
    picture: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class Changes:
    """The samples in which two versions differ; a sample is its picture, whatever its place.

    Attributes:
        added: only in the second.
        removed: only in the first.
        relabelled: the same picture in both, as (before, after), with another label.
        moved: the same picture with the same label in both, in another split.
        same: how many are equal in picture, label and split.
    """

    added: Sequence[Sample]
    removed: Sequence[Sample]
    relabelled: Sequence[tuple[Sample, Sample]]
    moved: Sequence[tuple[Sample, Sample]]
    same: int

    def to_dict(self, most: int) -> dict[str, Any]:
        """Return counts, and the first ``most`` places of each kind, ready for JSON."""

        def pairs(found: Sequence[tuple[Sample, Sample]]) -> list[dict[str, Any]]:
            return [{"from": _told(old), "to": _told(new)} for old, new in found[:most]]

        return {
            **self.counts(),
            "samples": {
                "added": [_told(sample) for sample in self.added[:most]],
                "removed": [_told(sample) for sample in self.removed[:most]],
                "relabelled": pairs(self.relabelled),
                "moved": pairs(self.moved),
            },
        }

    def counts(self) -> dict[str, int]:
        """How many samples of each kind there are."""
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "relabelled": len(self.relabelled),
            "moved": len(self.moved),
            "same": self.same,
        }


def changes(before: Raw | Digits, after: Raw | Digits) -> Changes:
    """Compare two versions; order does not count, and of equal pictures each counts for itself."""
    old, new = _by_picture(before), _by_picture(after)
    added: list[Sample] = []
    removed: list[Sample] = []
    relabelled: list[tuple[Sample, Sample]] = []
    moved: list[tuple[Sample, Sample]] = []
    same = 0
    for key in dict.fromkeys([*old, *new]):
        left, right = old.get(key, []), new.get(key, [])
        # The more two samples agree in, the sooner they are taken for one and the same.
        equal, left, right = _pairs(left, right, lambda each: (each.label, each.part))
        elsewhere, left, right = _pairs(left, right, lambda each: each.label)
        renamed, left, right = _pairs(left, right, lambda each: None)
        same += len(equal)
        moved += elsewhere
        relabelled += renamed
        removed += left
        added += right
    return Changes(added, removed, relabelled, moved, same)


def _pairs(
    left: list[Sample], right: list[Sample], trait: Callable[[Sample], Any]
) -> tuple[list[tuple[Sample, Sample]], list[Sample], list[Sample]]:
    """Pair samples that share a trait, each once; return the pairs and what is left over."""
    waiting: dict[Any, list[Sample]] = defaultdict(list)
    for sample in left:
        waiting[trait(sample)].append(sample)
    pairs, over = [], []
    for sample in right:
        partners = waiting[trait(sample)]
        if partners:
            pairs.append((partners.pop(0), sample))
        else:
            over.append(sample)
    return pairs, [sample for partners in waiting.values() for sample in partners], over


def _by_picture(content: Raw | Digits) -> dict[bytes, list[Sample]]:
    found: dict[bytes, list[Sample]] = defaultdict(list)
    for key, sample in _samples(content):
        found[key].append(sample)
    return found


def _samples(content: Raw | Digits) -> Iterator[tuple[bytes, Sample]]:
    """Yield each sample with a digest of its picture."""
    arrays = arrays_of(content)
    if "files" in arrays:
        for (name, data), label in zip(unpacked(arrays).items(), arrays["labels"], strict=True):
            yield _key(data), Sample(name, "", int(label), _decoder(name, data))
        return
    for part in PARTS if isinstance(content, Digits) else ("", "train", "test"):
        prefix = f"{part}_" if part else ""
        if f"{prefix}images" not in arrays:
            continue
        images, labels = arrays[f"{prefix}images"], arrays[f"{prefix}labels"]
        for index, label in enumerate(labels.tolist()):
            place = f"{part}[{index}]"
            yield _key(images[index].tobytes()), Sample(place, part, label, _viewer(images, index))


def _viewer(images: NDArray[np.uint8], index: int) -> Callable[[], NDArray[np.uint8]]:
    return lambda: images[index]


def _decoder(name: str, data: bytes) -> Callable[[], NDArray[np.uint8]]:
    return lambda: prepared(name, data)


def _key(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _told(sample: Sample) -> dict[str, Any]:
    return {"place": sample.place, "label": sample.label}
