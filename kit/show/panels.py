"""Parts of windows, videos and strips: RGB pictures, uint8 (H, W, 3)."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

BLACK, WHITE, GRAY = (0, 0, 0), (255, 255, 255), (70, 70, 70)
BLUE, GREEN, RED, YELLOW = (90, 150, 230), (90, 190, 110), (225, 85, 75), (235, 195, 80)
FONT = cv2.FONT_HERSHEY_SIMPLEX
GAP = ((0, 2), (0, 2), (0, 0))  # black pixels below and beside the frames of a table
COLUMNS = 8  # of a strip
TILE = 154  # pixels a side of its pictures, border not counted


def enlarge(frame: np.ndarray, side: int) -> np.ndarray:
    """A small square frame at `side` pixels, without blur."""
    return cv2.resize(frame, (side, side), interpolation=cv2.INTER_NEAREST)


def colour(frame: np.ndarray) -> np.ndarray:
    """A frame of one channel or three as three."""
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame


def fit(picture: np.ndarray, height: int) -> np.ndarray:
    """A picture at another height, its proportions kept."""
    width = round(picture.shape[1] * height / len(picture))
    smaller = cv2.INTER_AREA if height < len(picture) else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=smaller)


def label(picture: np.ndarray, text: str, x: int = 8, y: int = 24, size: float = 0.7) -> np.ndarray:
    """Write `text` into a picture, in place, so that it can be read on any ground."""
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):  # thicker letters would also be wider
        cv2.putText(picture, text, (x + dx, y + dy), FONT, size, BLACK, 2, cv2.LINE_AA)
    return cv2.putText(picture, text, (x, y), FONT, size, WHITE, 2, cv2.LINE_AA)


def text_bar(parts: Sequence[str], width: int, height: int = 44) -> np.ndarray:
    """White texts on black, each in its place, so that none moves when another grows."""
    picture = np.zeros((height, width, 3), np.uint8)
    for place, text in enumerate(parts):
        label(picture, text, 10 + place * width // len(parts), height // 2 + 8, 0.65)
    return picture


def meter(
    name: str,
    value: float,
    width: int,
    height: int = 44,
    low: float = 0.0,
    high: float = 1.0,
    colour: tuple[int, int, int] = BLUE,
) -> np.ndarray:
    """A bar from 0 to `value` on a scale from `low` to `high`, between its name and its number."""
    picture = np.zeros((height, width, 3), np.uint8)
    left, right, top, bottom = 74, width - 70, 10, height - 11
    position = [
        round(left + (right - left) * (np.clip(v, low, high) - low) / (high - low))
        for v in (0, value)
    ]
    cv2.rectangle(picture, (left, top), (right, bottom), GRAY, -1)
    cv2.rectangle(picture, (min(position), top), (max(position), bottom), colour, -1)
    cv2.line(picture, (position[0], top - 4), (position[0], bottom + 4), WHITE, 1)
    label(picture, name, 10, height // 2 + 7, 0.6)
    number = f"{value:+.2f}" if low < 0 else f"{value:.2f}"
    return label(picture, number, right + 8, height // 2 + 7, 0.6)


def dot(picture: np.ndarray, centre: tuple[int, int], colour: tuple[int, int, int]) -> np.ndarray:
    """Draw a dot, in place."""
    return cv2.circle(picture, centre, 9, colour, -1, cv2.LINE_AA)


def beside(*parts: np.ndarray) -> np.ndarray:
    """Pictures of one height side by side."""
    return np.concatenate(parts, axis=1)


def beside_in_square(*frames: np.ndarray, side: int) -> np.ndarray:
    """Small square frames side by side, without blur, in the middle of a black square."""
    row = beside(*(enlarge(frame, side // len(frames)) for frame in frames))
    above = (side - len(row)) // 2
    return np.pad(row, ((above, side - len(row) - above), (0, side - row.shape[1]), (0, 0)))


def below(*parts: np.ndarray) -> np.ndarray:
    """Pictures below each other; narrower ones are filled up with black on the right."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0))) for p in parts])


def table(rows: Mapping[str, Sequence[np.ndarray]], side: int = 128) -> np.ndarray:
    """Rows of small square frames, without blur, each with its name at the left."""
    lines = []
    for name, frames in rows.items():
        margin = np.zeros((side + 2, 150, 3), np.uint8)
        label(margin, name, 8, side // 2 + 8, 0.6)
        line = beside(margin, *(np.pad(enlarge(frame, side), GAP) for frame in frames))
        lines.append(line)
    return below(*lines)


class Moments:
    """Evenly spaced moments of an episode whose length is not known yet: 32 to 63 once it is long.

    steps: of the moments kept;  tiles: a list of tiles for each
    """

    def __init__(self):
        self.steps: list[int] = []
        self.tiles: list[list[np.ndarray]] = []
        self._every, self._step = 1, 0

    def add(self, pictures: Sequence[np.ndarray]) -> None:
        """Take the next moment: a picture of each kind."""
        if self._step % self._every == 0:
            self.steps.append(self._step)
            self.tiles.append([tile(picture) for picture in pictures])
            if len(self.steps) == 64:
                self.steps, self.tiles, self._every = (
                    self.steps[::2],
                    self.tiles[::2],
                    2 * self._every,
                )
        self._step += 1

    def choose(self) -> list[int]:
        """Keep `COLUMNS` of them; returns their steps."""
        chosen = np.linspace(0, len(self.steps) - 1, COLUMNS).astype(int)
        self.steps, self.tiles = [self.steps[i] for i in chosen], [self.tiles[i] for i in chosen]
        return self.steps


def strip(moments: Sequence[Sequence[np.ndarray]], names: Sequence[str]) -> np.ndarray:
    """Moments of an episode as columns, one row for each kind of picture, with its name.

    moments: for each column a `tile` of each kind of picture.
    """
    lines = []
    for kind, name in enumerate(names):
        tiles = [
            cv2.copyMakeBorder(moment[kind], 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=WHITE)
            for moment in moments
        ]
        label(tiles[0], name)
        lines.append(beside(*tiles))
    return below(*lines)


def tile(picture: np.ndarray) -> np.ndarray:
    """A picture as a strip shows it; a 64x64 one is enlarged without blur."""
    smooth = cv2.INTER_NEAREST if len(picture) == 64 else cv2.INTER_AREA
    return cv2.resize(picture, (TILE, TILE), interpolation=smooth)
