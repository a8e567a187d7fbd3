"""What must hold of env.py: `pytest env_test.py`, real CarRacing-v3, about 20 s on one core."""

import math
import pickle
import signal
import warnings
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing, FrictionDetector
from gymnasium.utils.env_checker import check_env

from kit.command import interrupts
from kit.command.errors import UserError

import env as room
import policies as policies_of_room
import renderer

GRASS, PATCH, ROAD, OUTSIDE = (100, 202, 100), (100, 228, 100), (100, 100, 100), (0, 0, 0)


class UndrawnCarRacing(CarRacing):
    """Stock without any drawing, so that its rewards come fast."""

    def _render(self, mode):
        return None


def steer_along(env, step, sway=0.0):
    """A driver that follows the middle of the road; `sway` takes it off the road and back."""
    hull, track = env.car.hull, np.array(env.track)[:, 2:4]
    nearest = int(np.hypot(*(track - hull.position).T).argmin())

    def bearing(ahead):
        right, forward = hull.GetLocalVector(track[(nearest + ahead) % len(track)] - hull.position)
        return math.atan2(right, forward)

    too_fast = math.hypot(*hull.linearVelocity) - 60 + 45 * min(1, 1.5 * abs(bearing(14)))
    steer = np.clip(2 * bearing(6), -1, 1) + sway * math.sin(step / 17)
    action = [np.clip(steer, -1, 1), np.clip(-too_fast / 10, 0, 0.6), np.clip(too_fast / 33, 0, 1)]
    return np.array(action, np.float32)


def straight_out(env, step):
    """Full ahead, over the grass and out of the field."""
    return np.array([0.01, 0.7, 0], np.float32)


def full_right(env, step):
    """In circles, the front wheels turned as far as they go."""
    return np.array([1, 0.3 * (step < 80), 0], np.float32)


def swaying(env, step):
    return steer_along(env, step, sway=1.2)


def pairs(seed, driver, every, first=0, steps=1000):
    """Drive a fast episode; every so many steps the fast frame and stock's of the same state."""
    env = room.FastCarRacing()
    env.reset(seed=seed)
    for step in range(steps):
        frame, _, terminated, _, _ = env.step(driver(env, step))
        if step >= first and step % every == 0:
            stock = room.crop_and_resize(CarRacing._render(env, "state_pixels"))
            yield env, frame, stock
        if terminated:
            return


def differences(frames):
    """Mean absolute difference, and share of pixels with a channel off by more than 8 levels."""
    off = np.array([np.abs(fast.astype(int) - stock) for _, fast, stock in frames])
    assert len(off) > 5
    return off.mean(), (off.max(axis=-1) > 8).mean()


@pytest.mark.parametrize(
    ("seed", "driver"), [(1, steer_along), (2, swaying), (3, straight_out), (100_004, steer_along)]
)
def test_fast_rewards_equal_stock_bit_for_bit_over_whole_episodes(seed, driver):
    fast, stock = room.make("fast"), gymnasium.wrappers.TimeLimit(UndrawnCarRacing(), 1000)
    fast.reset(seed=seed)
    stock.reset(seed=seed)
    total, steps, over = 0.0, 0, False
    while not over:
        action = driver(fast.unwrapped, steps)
        _, reward, terminated, truncated, info = fast.step(action)
        assert (reward, terminated, truncated, info) == stock.step(action)[1:]
        total, steps, over = total + reward, steps + 1, terminated or truncated
    if driver is straight_out:
        assert steps < 1000
        assert info == {"lap_finished": False}
        assert reward == -100
    else:
        assert steps == 1000
        assert total > (400 if driver is steer_along else 0)  # it did drive


def test_whole_drawn_episode_equals_stock_in_rewards_and_nearly_in_pixels():
    fast, stock = room.make("fast"), room.make("stock")
    first = fast.reset(seed=7)[0], stock.reset(seed=7)[0]
    frames = [(None, *first)]
    for step in range(1000):
        action = steer_along(fast.unwrapped, step)
        drawn_fast, drawn_stock = fast.step(action), stock.step(action)
        assert drawn_fast[1:] == drawn_stock[1:]
        if step % 5 == 0 or step == 999:
            frames.append((None, drawn_fast[0], drawn_stock[0]))
    assert drawn_fast[3]  # both cut at 1000 steps
    mean, share = differences(frames)
    assert mean < 0.25
    assert share < 0.01


@pytest.mark.parametrize(
    ("driver", "first", "every", "steps", "most"),
    [
        (steer_along, 0, 1, 10, 0.025),  # the whole field in sight
        (steer_along, 10, 4, 50, 0.012),  # zooming in
        (steer_along, 50, 25, 1000, 0.01),
        (swaying, 50, 25, 1000, 0.012),
        (straight_out, 50, 25, 1000, 0.012),  # over the field's edge
    ],
    ids=["start", "zoom", "road", "off-road", "far out"],
)
def test_fast_frames_are_close_to_stock(driver, first, every, steps, most):
    frames = list(pairs(5, driver, every, first, steps))
    mean, share = differences(frames)
    assert mean < 0.5
    assert share < most
    mean, share = differences((env, a[48:62, 26:38], b[48:62, 26:38]) for env, a, b in frames)
    assert mean < 1.2  # the car
    assert share < 0.04


def test_wheels_are_drawn_where_box2d_has_them(monkeypatch):
    """Checked on the polygons: at 64x64 a wheel is less than a pixel wide."""
    env, drawn = room.FastCarRacing(), []
    env.reset(seed=5)
    for step in range(80):
        env.step(full_right(env, step))
    monkeypatch.setattr(renderer.cv2, "fillConvexPoly", lambda *args: drawn.append(args[1:3]))
    env.step(full_right(env, 80))
    polygons = [polygon for polygon, color in drawn if color == renderer.BLACK]
    hull, front = env.car.hull, env.car.wheels[0]
    assert abs(front.angle - hull.angle) > 0.3
    for wheel, polygon in zip(env.car.wheels, polygons, strict=True):
        vertices = wheel.fixtures[0].shape.vertices
        expected = sorted(tuple(hull.GetLocalPoint(wheel.transform * v)) for v in vertices)
        canvas = (polygon / 16 + 0.5 - (30, 48)) / renderer.CANVAS_SCALE  # window pixels
        assert np.allclose(sorted((canvas * (1, -1) / 16.2).tolist()), expected, atol=0.01)


def test_visited_tiles_fade_as_in_stock():
    """Stock takes the stripes off each tile that the car touches, up to 5 levels."""
    for env, fast, stock in pairs(5, steer_along, every=50, first=200, steps=400):
        assert env.tile_visited_count > 10
        road = np.all((stock >= 99) & (stock <= 106), axis=-1)
        assert road.sum() > 200
        assert np.abs(fast[road].astype(int) - stock[road]).mean() < 0.35


def test_colours_are_those_of_stock_and_not_inverted():
    frame, _ = room.make("fast").reset(seed=0)
    colors = {tuple(color) for color in frame.reshape(-1, 3).tolist()}
    assert OUTSIDE in colors  # the field does not fill the first view
    *_, (_, frame, stock) = pairs(0, steer_along, every=60, first=60, steps=61)
    for image in (frame, stock):
        colors = {tuple(color) for color in image.reshape(-1, 3).tolist()}
        assert {GRASS, PATCH, ROAD} <= colors
        assert image.std() > 20


def test_a_kerb_without_width_is_drawn():
    """On one track in 75 two corners of a kerb fall together, and its border has no direction."""
    env = room.FastCarRacing()
    with np.errstate(invalid="raise"):
        env.reset(seed=1039)
    quad = np.array(env.road_poly[321][0])
    assert (quad[0] == quad[1]).all()


def test_stock_crop_drops_the_dashboard_and_is_bilinear():
    frame, _ = gymnasium.make("CarRacing-v3").reset(seed=0)
    assert frame[84:].max() < 255
    observation, _ = room.make("stock").reset(seed=0)
    assert np.array_equal(observation, room.crop_and_resize(frame))
    assert np.array_equal(observation, room.crop_and_resize(frame[:84]))
    ramp = np.zeros((96, 96, 3), np.uint8)
    ramp[:84] = np.arange(84, dtype=np.uint8)[:, None, None]
    ramp[..., 1] = 2 * np.arange(96)
    small = room.crop_and_resize(ramp)
    rows, columns = (np.arange(1, 63) + 0.5) * 84 / 64 - 0.5, (np.arange(1, 63) + 0.5) * 1.5 - 0.5
    assert np.abs(small[1:63, 0, 0] - rows).max() < 1
    assert np.abs(small[0, 1:63, 1] - 2 * columns).max() < 1


def test_same_seed_gives_the_same_episode_and_another_seed_another():
    def episode(seed):
        batch = room.Environments("fast")
        frames = [batch.reset([seed])]
        action = np.array([[0.1, 0.6, 0]], np.float32)
        frames += [batch.step(action)[0] for _ in range(80)]
        return np.concatenate(frames)

    once, again, other = episode(3), episode(3), episode(4)
    assert np.array_equal(once, again)
    assert not np.array_equal(once[-1], other[-1])
    assert all(not np.array_equal(a, b) for a, b in pairwise(once))


def test_batch_equals_single_environments_with_rows_left_out_and_reset():
    batch = room.Environments("fast")
    seeds, policies = [11, 12, 13], [policies_of_room.RandomPolicy(k) for k in range(3)]
    singles = [room.make("fast") for _ in seeds]
    expected = np.stack([env.reset(seed=s)[0] for env, s in zip(singles, seeds, strict=True)])
    assert np.array_equal(batch.reset(seeds), expected)
    for step in range(120):
        rows = np.array([0, 1, 2] if step < 60 else [0, 2])
        if step == 90:
            observations = batch.reset([14], rows=[2])
            assert np.array_equal(observations[0], singles[2].reset(seed=14)[0])
        actions = np.stack([policies[row]() for row in rows])
        observations, rewards, finished, lap_finished = batch.step(actions, rows)
        assert observations.shape == (len(rows), 64, 64, 3)
        assert not finished.any()
        assert not lap_finished.any()
        for k, row in enumerate(rows):
            observation, reward, *_ = singles[row].step(actions[k])
            assert np.array_equal(observations[k], observation)
            assert rewards[k] == reward


def test_batch_reports_the_cap_the_lap_and_goes_on_after_the_end():
    batch = room.Environments("fast")
    batch.reset([21, 22, 23])
    still, go = np.zeros(3, np.float32), np.array([0, 0.8, 0], np.float32)
    lapped = batch._envs[1].unwrapped
    lapped.tile_visited_count = len(lapped.track)
    ends, totals = np.zeros((3, 1002), bool), np.zeros(3)
    for step in range(1002):
        _, rewards, ends[:, step], laps = batch.step(np.stack([still, still, go]))
        totals += rewards
        assert laps.tolist() == [False, True, False]
    assert ends[0].nonzero()[0].tolist() == [999, 1000, 1001]
    assert ends[1].all()
    assert 200 < ends[2].argmax() < 999
    assert rewards.tolist() == pytest.approx([-0.1, -0.1, -100])
    assert totals[0] == pytest.approx(-0.1 * 1002, abs=20)
    batch.close()


@pytest.mark.parametrize("kind", room.KINDS)
def test_gymnasium_env_checker_passes(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # actions are not symmetric: CarRacing's own choice
        check_env(room.make(kind).unwrapped if kind == "fast" else room.make(kind))


def test_fast_environment_can_be_pickled():
    copy = pickle.loads(pickle.dumps(room.make("fast")))
    assert np.array_equal(copy.reset(seed=2)[0], room.make("fast").reset(seed=2)[0])


def test_rgb_array_is_stocks_picture():
    fast = room.make("fast", render_mode="rgb_array")
    stock = gymnasium.make("CarRacing-v3", render_mode="rgb_array")
    fast.reset(seed=1)
    stock.reset(seed=1)
    assert np.array_equal(fast.render(), stock.render())


def test_unknown_kind_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="'slow', expected one of stock, fast"):
        room.make("slow")


@pytest.mark.parametrize("kind", room.KINDS)
def test_an_interruption_in_a_contact_waits_for_the_step_and_leaves_the_world_whole(
    kind, monkeypatch
):
    contacts, contact = [], FrictionDetector._contact

    def interrupted(self, *arguments):
        contacts.append(arguments)
        if len(contacts) == 3:
            signal.raise_signal(signal.SIGTERM)
        contact(self, *arguments)

    monkeypatch.setattr(FrictionDetector, "_contact", interrupted)
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    env = room.make(kind)
    try:
        interrupts.raise_on_signals()
        with pytest.raises(KeyboardInterrupt):
            env.reset(seed=1)
        assert len(contacts) > 3
        first = env.reset(seed=1)[0]
        np.testing.assert_array_equal(first, env.reset(seed=1)[0])
        assert env.step(np.zeros(3, np.float32))[1] > 0
    finally:
        env.close()
        for number, handler in before.items():
            signal.signal(number, handler)
