"""The window of `python env.py`: CarRacing by hand, beside what the world model would see.

Left and right arrow steer, up is gas, down brakes; Enter starts the track again, Escape quits.
After an episode the next seed's track follows. Every 200 steps the action and the return so far
are printed. Runs at the environment's 50 steps a second; SDL_VIDEODRIVER=dummy needs no screen.
"""

import argparse

import numpy as np
import pygame
from gymnasium.envs.box2d.car_racing import FPS

from estool import cli
from estool.errors import UserError

from env import MAX_STEPS, SIZE, make

FULL_VIEW = (640, 512)  # stock's 1000x800 picture
ENLARGED = (8 * SIZE, 8 * SIZE)  # the 64x64 observation
BAR = 40  # pixels of text below both
PRINT_EVERY = 200  # steps
BRAKE = 0.8  # 0.9 and more would lock the wheels
QUIT, RESTART = "quit", "restart"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `python env.py`."""
    parser.add_argument("--seed", type=cli.non_negative_int, default=0, help="first track")
    parser.add_argument(
        "--steps", type=cli.positive_int, help="quit after so many steps (default: play on)"
    )


def play(args: argparse.Namespace) -> None:
    """Open the window and play until Escape, or for `args.steps` steps.

    Raises UserError where no window can be opened.
    """
    try:
        pygame.display.init()  # not pygame.init(), which would look for a sound card too
        size = (FULL_VIEW[0] + ENLARGED[0], max(FULL_VIEW[1], ENLARGED[1]) + BAR)
        window = pygame.display.set_mode(size)
    except pygame.error as error:
        raise UserError(
            f"no window can be opened ({error}); playing needs a display, or "
            "SDL_VIDEODRIVER=dummy to run without one"
        ) from error
    pygame.font.init()
    pygame.display.set_caption("CarRacing: arrow keys, Enter restarts, Escape quits")
    env = make("fast", render_mode="rgb_array")
    try:
        _play_episodes(env, window, args.seed, args.steps)
    finally:
        env.close()
        pygame.quit()


def _play_episodes(env, window, seed, steps_left):
    clock, font = pygame.time.Clock(), pygame.font.Font(None, 30)
    steps_left = float("inf") if steps_left is None else steps_left
    while steps_left > 0:
        observation, _ = env.reset(seed=seed)
        total, steps, command, finished = 0.0, 0, None, False
        while command is None and not finished and steps_left > 0:
            command = _command(pygame.event.get())
            action = _action(pygame.key.get_pressed())
            observation, reward, terminated, truncated, _ = env.step(action)
            finished = terminated or truncated
            total += reward
            steps += 1
            steps_left -= 1
            if steps % PRINT_EVERY == 0 or finished:
                print("action", " ".join(f"{value:+.2f}" for value in action))
                print(f"step {steps} total_reward {total:+.2f}", flush=True)
            speed = np.hypot(*env.unwrapped.car.hull.linearVelocity)
            text = (
                f"track {seed}   score {total:6.1f}   step {steps}/{MAX_STEPS}   speed {speed:3.0f}"
                f"   {clock.get_fps():2.0f} fps"
            )
            _draw(window, env.render(), observation, font.render(text, True, (255, 255, 255)))
            clock.tick(FPS)
        if command == QUIT:
            return
        if command != RESTART:
            seed += 1


def _command(events):
    """What the events since the last frame ask for: QUIT, RESTART or None."""
    for event in events:
        if event.type == pygame.QUIT:
            return QUIT
        if event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
            return QUIT
        if event.type == pygame.KEYDOWN and event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            return RESTART
    return None


def _action(pressed):
    """The keys now held -> action (3,) float32."""
    steer = float(pressed[pygame.K_RIGHT]) - float(pressed[pygame.K_LEFT])
    gas, brake = float(pressed[pygame.K_UP]), BRAKE * pressed[pygame.K_DOWN]
    return np.array([steer, gas, brake], np.float32)


def _draw(window, full, observation, text):
    """Show the full view (400, 600, 3), the observation (64, 64, 3) and the text."""
    window.fill((0, 0, 0))
    for image, size, left in ((full, FULL_VIEW, 0), (observation, ENLARGED, FULL_VIEW[0])):
        surface = pygame.surfarray.make_surface(image.swapaxes(0, 1))
        window.blit(pygame.transform.scale(surface, size), (left, 0))
    window.blit(text, (10, FULL_VIEW[1] + 10))
    pygame.display.flip()
