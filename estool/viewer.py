"""A place for pictures that follow each other: a window, or a video file that needs no screen."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from estool.errors import UserError
from estool.weights import atomic_path

VIDEO_SUFFIXES = (".mp4", ".gif")


def load_pygame():
    """The module pygame, without its greeting and without OpenGL for windows.

    OpenGL on a screen without a GPU brings a second LLVM into the process, which crashes beside
    TensorFlow's own. Imported late, because most commands open no window.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    import pygame

    return pygame


class Window:
    """A desktop window; Escape or its close button ends the show."""

    def __init__(self, title: str, fps: float):
        self._pygame = pygame = load_pygame()
        self._title, self._fps = title, fps
        self._clock, self._surface = pygame.time.Clock(), None

    def show(self, picture: np.ndarray) -> bool:
        """Show uint8 (H, W, 3) for a frame's time; False once the person has closed the window."""
        pygame = self._pygame
        if self._surface is None:
            try:
                pygame.display.init()
                self._surface = pygame.display.set_mode(picture.shape[1::-1])
            except pygame.error as error:
                raise UserError(f"no window can be opened here ({error}); try --video") from error
            pygame.display.set_caption(self._title)
        pygame.surfarray.blit_array(self._surface, picture.swapaxes(0, 1))
        pygame.display.flip()
        self._clock.tick(self._fps)
        return not any(
            event.type == pygame.QUIT
            or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE)
            for event in pygame.event.get()
        )

    def close(self) -> None:
        self._pygame.display.quit()


class Video:
    """Frames written to a file, mp4 (H.264) or gif by its suffix."""

    def __init__(self, path: Path, fps: float):
        import imageio  # here, because only videos need its plugins

        if path.suffix == ".gif":
            self._writer = imageio.get_writer(path, duration=1000 / fps, loop=0)
        else:
            self._writer = imageio.get_writer(path, fps=fps, macro_block_size=2)

    def show(self, picture: np.ndarray) -> bool:
        self._writer.append_data(picture)
        return True

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def open_viewer(title: str, fps: float, video: Path | None = None) -> Iterator[Window | Video]:
    """A window, or with `video` that file, which is complete or absent when the block is left."""
    if video is None:
        window = Window(title, fps)
        try:
            yield window
        finally:
            window.close()
        return
    if video.suffix not in VIDEO_SUFFIXES:
        raise UserError(f"--video: expected a name in {' or '.join(VIDEO_SUFFIXES)}, found {video}")
    with atomic_path(video) as temporary:
        writer = Video(temporary, fps)
        try:
            yield writer
        finally:
            writer.close()
