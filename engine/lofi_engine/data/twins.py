"""Decides which of several tracks with one sound enters the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lofi_engine.data.duplicates import near_duplicates
from lofi_engine.data.folder import one_line

if TYPE_CHECKING:
    from lofi_engine.audio.fingerprint import Fingerprint

# A trimmed copy may score a little better than the whole; another encoding pads its ends.
_SCORES_ALIKE = 3.0
_LENGTHS_ALIKE_SEC = 1.0


@dataclass(frozen=True)
class Good:
    """A track that nothing else refuses.

    Args:
        source: the file, as reports name it.
        sha256: of the file's bytes.
        audio_sha256: of the finished audio.
        quality_score: 0 to 100.
        duration_sec: of the finished audio.
        human_verified: whether a person has listened to it.
        fingerprint: see `lofi_engine.audio.fingerprint`.
    """

    source: str
    sha256: str
    audio_sha256: str
    quality_score: float
    duration_sec: float
    human_verified: bool
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Verdict:
    """What becomes of a track.

    Args:
        reason: why it is refused, "" where it enters.
        group: the numbers of the near duplicates it is one of, its own too; empty for none.
    """

    reason: str = ""
    group: tuple[int, ...] = ()


def judge_twins(tracks: Sequence[Good], *, keep_near: bool) -> list[Verdict]:
    """Give a verdict on each track, in their order.

    Of exact duplicates (the same bytes, or the same sound in another container) the first enters.
    Of near duplicates the best does: one that a person has listened to before one that nobody has,
    then a clearly higher score, then a clearly longer one, then the higher score, then the first.

    Args:
        tracks: in the sources' order. Two may have one name, where sources overlap.
        keep_near: whether all near duplicates enter.
    """
    verdicts = _exact(tracks)
    left = {str(at): track for at, track in enumerate(tracks) if not verdicts[at].reason}
    for names in near_duplicates({name: track.fingerprint for name, track in left.items()}):
        group = tuple(int(name) for name in names)
        best = _best(tracks, group)
        for at in group:
            spare = not keep_near and at != best
            verdicts[at] = Verdict(_near(tracks[best], tracks[at]) if spare else "", group)
    return verdicts


def _exact(tracks: Sequence[Good]) -> list[Verdict]:
    first: dict[str, str] = {}
    verdicts = []
    for track in tracks:
        reason = ""
        if track.sha256 in first:
            reason = f"same content as '{one_line(first[track.sha256])}'"
        elif track.audio_sha256 in first:
            reason = f"same sound as '{one_line(first[track.audio_sha256])}'"
        else:
            first[track.sha256] = first[track.audio_sha256] = track.source
        verdicts.append(Verdict(reason))
    return verdicts


def _best(tracks: Sequence[Good], group: Sequence[int]) -> int:
    heard = [at for at in group if tracks[at].human_verified] or group
    score = max(tracks[at].quality_score for at in heard) - _SCORES_ALIKE
    clean = [at for at in heard if tracks[at].quality_score >= score]
    lasts = max(tracks[at].duration_sec for at in clean) - _LENGTHS_ALIKE_SEC
    whole = [at for at in clean if tracks[at].duration_sec >= lasts]
    return max(whole, key=lambda at: tracks[at].quality_score)


def _near(best: Good, other: Good) -> str:
    if best.human_verified != other.human_verified:
        why = "somebody has listened to that one"
    elif best.quality_score > other.quality_score + _SCORES_ALIKE:
        why = f"its quality score is {best.quality_score:g}, this one's {other.quality_score:g}"
    elif best.duration_sec > other.duration_sec + _LENGTHS_ALIKE_SEC:
        why = f"it lasts {best.duration_sec:.1f} s, this one {other.duration_sec:.1f} s"
    elif best.quality_score != other.quality_score:
        why = f"its quality score is {best.quality_score:g}, this one's {other.quality_score:g}"
    else:
        why = "it comes first"
    return f"near duplicate of '{one_line(best.source)}', which is kept: {why}"
