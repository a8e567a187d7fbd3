"""Show a sequence of pictures: in a window, or in video files that need no screen."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import threadpoolctl

from kit.command import cli
from kit.command.errors import UserError
from kit.files.atomic import atomic_path

ENTER = frozenset(("return", "enter"))  # pygame's names of the large key and the keypad's
# What somebody without a screen can do: watch a video, or bring the window to another machine.
WATCH = "--video out.mp4 shows it in a file that needs none"
PLAY = "to play, start it at a screen, or over `ssh -X` from a machine that has one"
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
UNSEEN = ("offscreen", "dummy", "evdev")  # what SDL takes without a word where it finds no screen
GIF_FPS, GIF_WIDTH, GIF_COLOURS = 10, 560, 64  # what a web page can bear


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of commands that show an agent; `files` says which videos were asked for."""
    add = parser.add_argument
    add("--video", type=cli.file_in(".mp4"), help="render into this .mp4, without a screen")
    add("--gif", type=cli.file_in(".gif"), help="render into this .gif, smaller, without a screen")
    add("--strip", type=cli.file_in(".png"), help="render: write a strip of moments into this .png")
    text = "render: begin with what M expected beside what came, as the key M does"
    add("--expected", action="store_true", help=text)


def check_arguments(args: argparse.Namespace) -> argparse.Namespace:
    """UserError where a flag asks for something that render or norender does not do.

    Or where a window is asked for and there is no screen. Called before the work, because models
    take seconds to load.
    """
    if args.mode == "render":
        policy = {f"--policy {args.policy}": args.policy != "controller"}
        asked, other = {"--csv": args.csv} | policy, "norender"
    else:
        names = ("video", "gif", "strip", "expected")
        asked, other = {f"--{name}": getattr(args, name) for name in names}, "render"
    named = [flag for flag, value in asked.items() if value]
    if named:
        raise UserError(f"{named[0]} needs {other}, found {args.mode}")
    return args if args.mode == "norender" else check_screen(args)


def check_screen(args: argparse.Namespace) -> argparse.Namespace:
    """UserError where a window is asked for and there is no screen."""
    if not files(args):
        require_screen(WATCH)
    return args


def require_screen(advice: str) -> None:
    """UserError with that `advice` where no window can be seen.

    SDL would go on without a word and draw into memory. It may do so where SDL_VIDEODRIVER names
    a driver that does (dummy).
    """
    if os.environ.get("SDL_VIDEODRIVER"):
        return
    if sys.platform == "linux" and not any(map(os.environ.get, SCREENS)):
        raise UserError(f"there is no screen (neither {' nor '.join(SCREENS)} is set): {advice}")
    pygame = load_pygame()
    try:
        pygame.display.init()  # not pygame.init(), which would look for a sound card too
        driver = pygame.display.get_driver()
    except pygame.error as error:
        raise UserError(f"no window can be opened ({error}): {advice}") from error
    if driver in UNSEEN:
        named = " ".join(f"{name}={os.environ[name]}" for name in SCREENS if os.environ.get(name))
        raise UserError(f"no window can be opened (the screen {named} does not answer): {advice}")


def files(args: argparse.Namespace) -> list[Path]:
    """The video files that the command line asks for."""
    return [path for path in (args.video, args.gif) if path]


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
    """A desktop window; Escape or its close button ends the show.

    pressed: the names of the keys that went down during the last frame, as pygame has them
    fps: frames a second, as measured over the last ten
    """

    def __init__(self, title: str, fps: float, advice: str = WATCH):
        """`advice` for those without a screen. Raises UserError where there is none."""
        require_screen(advice)
        self._pygame = load_pygame()
        self._title, self._fps, self._advice = title, fps, advice
        self._clock, self._surface = self._pygame.time.Clock(), None
        self.pressed: frozenset[str] = frozenset()

    @property
    def fps(self) -> float:
        return self._clock.get_fps()

    def held(self, key: str) -> bool:
        """Whether the key of this name is down."""
        if self._surface is None:
            return False
        return bool(self._pygame.key.get_pressed()[self._pygame.key.key_code(key)])

    def show(self, picture: np.ndarray) -> bool:
        """Show uint8 (H, W, 3) for a frame's time; False once the person has closed the window."""
        pygame, size = self._pygame, picture.shape[1::-1]
        if self._surface is None:
            try:
                pygame.display.init()  # not pygame.init(), which would look for a sound card too
                self._surface = pygame.display.set_mode(size)
            except pygame.error as error:
                raise UserError(f"no window can be opened ({error}): {self._advice}") from error
            pygame.display.set_caption(self._title)
        self._surface.blit(pygame.image.frombuffer(picture.tobytes(), size, "RGB"), (0, 0))
        pygame.display.flip()
        self._clock.tick(self._fps)
        events = pygame.event.get()
        keys = (event.key for event in events if event.type == pygame.KEYDOWN)
        self.pressed = frozenset(pygame.key.name(key) for key in keys)
        return "escape" not in self.pressed and not any(e.type == pygame.QUIT for e in events)

    def hold(self, picture: np.ndarray, frames: int) -> bool:
        """Show a picture for so many frames' time or until Enter; False as in `show`."""
        for _ in range(frames):
            if not self.show(picture):
                return False
            if self.pressed & ENTER:
                break
        return True

    def close(self) -> None:
        self._pygame.display.quit()


class Videos:
    """Frames written to files, mp4 (H.264) or gif by their suffixes, all at once."""

    pressed: frozenset[str] = frozenset()  # no keys here

    def __init__(self, paths: Sequence[Path], fps: float):
        self._paths, self._fps, self._writers = paths, fps, []

    def show(self, picture: np.ndarray) -> bool:
        if not self._writers:
            self._writers = [_start(path, picture.shape[1::-1], self._fps) for path in self._paths]
        for writer in self._writers:
            writer.send(np.ascontiguousarray(picture))
        return True

    def hold(self, picture: np.ndarray, frames: int) -> bool:
        """Do nothing: a video player can pause."""
        return True

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def _start(path: Path, size: tuple[int, int], fps: float):
    """A generator that is sent frames."""
    import imageio_ffmpeg  # here, because only videos need it

    if path.suffix == ".mp4":
        even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]  # H.264 cannot have odd sizes
        writer = imageio_ffmpeg.write_frames(
            path, size, fps=fps, quality=6, macro_block_size=1, output_params=even
        )
    else:
        small = f"fps={min(fps, GIF_FPS)},scale='min({GIF_WIDTH},iw)':-1:flags=area,hqdn3d=4:4:6:6"
        colours = f"split[a][b];[a]palettegen=max_colors={GIF_COLOURS}:stats_mode=full[p]"
        params = ["-vf", f"{small},{colours};[b][p]paletteuse=dither=none:diff_mode=rectangle"]
        writer = imageio_ffmpeg.write_frames(
            path,
            size,
            fps=fps,
            codec="gif",
            pix_fmt_out="pal8",
            quality=None,
            macro_block_size=1,
            output_params=params,
        )
    writer.send(None)
    return writer


@contextlib.contextmanager
def open_viewer(
    title: str, fps: float, paths: Sequence[Path] = (), advice: str = WATCH
) -> Iterator[Window | Videos]:
    """A window, or with `paths` those files, each complete or absent when the block is left.

    Raises UserError, with `advice`, where a window is asked for and there is no screen.

    In the block numpy's products keep to one thread: those of one frame are small, and threads that
    wait for each other would make it late on a busy machine.
    """
    for path in paths:
        if path.suffix not in (".mp4", ".gif"):
            raise UserError(f"--video: expected a name in .mp4 or .gif, found {path}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(threadpoolctl.threadpool_limits(1))
        temporary = [stack.enter_context(atomic_path(path)) for path in paths]
        viewer = Videos(temporary, fps) if paths else Window(title, fps, advice)
        stack.callback(viewer.close)
        yield viewer
