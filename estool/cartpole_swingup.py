"""CartPoleSwingUp-v0: swing a hanging pole up and balance it, with a continuous force on the cart.

    import estool.games  # registers it
    gymnasium.make("CartPoleSwingUp-v0")

The cart of PILCO (Deisenroth & Rasmussen 2011) with friction, as estool's reference has it: a
uniform pole of 0.6 m and 0.5 kg, a cart of 0.5 kg, 1000 steps of 0.01 s. Observation
[x, x', cos, sin, angle'], the angle 0 when the pole stands; action in [-1, 1], times 10 N; reward
(cos(angle) + 1) / 2 * cos(pi x / 4.8) a step, so 1000 at most; off the track of +-2.4 m it ends.
"""

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

GRAVITY = 9.82
CART_MASS = POLE_MASS = 0.5  # kg
LENGTH = 0.6  # m
FORCE = 10.0  # N for the action 1
FRICTION = 0.1  # N s / m
STEP = 0.01  # s
TRACK = 2.4  # m to either side
LIMIT = 1000  # steps
START = np.array([0, 0, np.pi, 0]), 0.2  # mean and deviation of x, x', angle, angle'

OBSERVATION = Box(-np.inf, np.inf, (5,), np.float64)
ACTION = Box(-1.0, 1.0, (1,), np.float32)


def accelerations(speed, angle, turn, force, friction=FRICTION):
    """x'' and angle'' of a cart with speed x', a pole with angle' `turn`, and a force in N."""
    sine, cosine = np.sin(angle), np.cos(angle)
    mass = CART_MASS + POLE_MASS
    swing = POLE_MASS * LENGTH * turn**2 * sine
    push = force - friction * speed
    cart = -2 * swing + 3 * POLE_MASS * GRAVITY * sine * cosine + 4 * push
    cart = cart / (4 * mass - 3 * POLE_MASS * cosine**2)
    pole = -3 * swing * cosine + 6 * mass * GRAVITY * sine + 6 * push * cosine
    return cart, pole / (4 * LENGTH * mass - 3 * POLE_MASS * LENGTH * cosine**2)


def advance(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The states (B, 4) one step later, under actions (B,)."""
    _, speed, angle, turn = state.T
    force = FORCE * np.clip(actions, -1, 1)
    cart, pole = accelerations(speed, angle, turn, force)
    change = np.stack((speed, cart, turn, pole), 1)
    return state + STEP * change


def observe(state: np.ndarray) -> np.ndarray:
    """Observations (B, 5) of states (B, 4)."""
    x, speed, angle, turn = state.T
    return np.stack((x, speed, np.cos(angle), np.sin(angle), turn), 1)


def rewards(state: np.ndarray) -> np.ndarray:
    """Rewards (B,) for being in states (B, 4)."""
    return (np.cos(state[:, 2]) + 1) / 2 * np.cos(np.pi * state[:, 0] / (2 * TRACK))


def first_state(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(START[0], START[1])


class CartPoleSwingUp(gymnasium.Env):
    """One cart."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 - gymnasium's way
    observation_space, action_space = OBSERVATION, ACTION

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode
        self._state = np.zeros((1, 4))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._state = first_state(self.np_random)[None]
        return observe(self._state)[0], {}

    def step(self, action):
        self._state = advance(self._state, np.asarray(action, np.float64).reshape(1))
        off = bool(np.abs(self._state[0, 0]) > TRACK)
        return observe(self._state)[0], float(rewards(self._state)[0]), off, False, {}

    def render(self) -> np.ndarray:
        """The scene, uint8 (400, 600, 3)."""
        import cv2  # here, because training draws nothing

        picture, scale = np.full((400, 600, 3), 255, np.uint8), 100  # pixels a metre
        x, _, angle, _ = self._state[0]
        cart = 300 + scale * x, 220
        tip = cart[0] - scale * LENGTH * np.sin(angle), cart[1] - scale * LENGTH * np.cos(angle)

        def point(place):  # in sixteenths of a pixel, so that slow motion is smooth
            return tuple(round(16 * float(value)) for value in place)

        def line(start, end, color, width):
            cv2.line(picture, point(start), point(end), color, width, cv2.LINE_AA, shift=4)

        line((300 - scale * TRACK, 235), (300 + scale * TRACK, 235), (150, 150, 150), 2)
        corners = [point((cart[0] + 25 * end, cart[1] + 12 * end)) for end in (-1, 1)]
        cv2.rectangle(picture, *corners, (70, 70, 70), -1, cv2.LINE_AA, shift=4)
        line(cart, tip, (202, 120, 50), 8)
        cv2.circle(picture, point(cart), 16 * 5, (120, 120, 200), -1, cv2.LINE_AA, shift=4)
        return picture


class CartPoleSwingUpVector(VectorEnv):
    """Many carts at once, bit for bit as one at a time; `running` as in lockstep.LockstepEnv."""

    metadata = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012 - gymnasium's way

    def __init__(self, num_envs: int):
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = OBSERVATION, ACTION
        self.observation_space = batch_space(OBSERVATION, num_envs)
        self.action_space = batch_space(ACTION, num_envs)
        self.running = np.zeros(num_envs, bool)
        self._state, self._steps = np.zeros((num_envs, 4)), np.zeros(num_envs, np.int64)

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        given = seed if isinstance(seed, list) else [seed] * self.num_envs
        for row in np.flatnonzero(mask):
            self._state[row] = first_state(seeding.np_random(given[row])[0])
        self._steps[mask], self.running[mask] = 0, True
        return observe(self._state), {}

    def step(self, actions):
        go = np.flatnonzero(self.running)
        state = advance(self._state[go], np.asarray(actions, np.float64)[go, 0])
        self._state[go] = state
        self._steps[go] += 1
        reward, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        reward[go], terminated[go] = rewards(state), np.abs(state[:, 0]) > TRACK
        truncated = self.running & (self._steps >= LIMIT)
        self.running &= ~(terminated | truncated)
        return observe(self._state), reward, terminated, truncated, {}
