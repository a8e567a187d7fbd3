"""Real environments as frames: where pixels come from, crop, grey, history, repeats, limits."""

import cv2
import numpy as np
import pytest

from kit.command.errors import UserError

from env import Games, make
from smoke import BOXING, CARTPOLE, DOORKEY, general


def frames_of(values, steps=5, seed=0):
    env = make(general(**values))
    frames = [env.reset(seed=seed)[0]]
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        frames.append(env.step(env.actions.given(env.actions.sample(rng)))[0])
    env.close()
    return np.stack(frames), env


@pytest.mark.parametrize(
    ("values", "actions"),
    [(CARTPOLE["general"], 2), (BOXING, 18), ({"game_name": "Boxing-v0"}, 18), (DOORKEY, 7)],
    ids=lambda v: v["game_name"] if isinstance(v, dict) else "",
)
def test_frames_of_real_environments_show_something(values, actions):
    frames, env = frames_of(values)
    assert frames.shape == (6, 64, 64, 3) and frames.dtype == np.uint8
    assert env.actions.outputs == actions
    assert frames.std() > 5
    again, _ = frames_of(values)
    assert (frames == again).all()  # the seed fixes the episode


def test_boxing_is_cropped_to_the_ring():
    env = make(general(**BOXING))
    frame, _ = env.reset(seed=0)
    picture = env.unwrapped.ale.getScreenRGB()[30:183, 28:131]
    wanted = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    assert (frame == wanted).all()
    env.close()


def test_grey_and_history():
    grey, _ = frames_of(BOXING | {"state_shape": [64, 64, 1]})
    assert grey.shape == (6, 64, 64, 1)
    past, _ = frames_of(BOXING | {"channels": "history"})
    for step in range(2, 6):
        for channel, back in ((2, 0), (1, 1), (0, 2)):
            assert (past[step, ..., channel] == grey[step - back, ..., 0]).all()
    assert (past[0] == grey[0]).all()  # the first frame three times


def test_action_repeat_sums_rewards_and_ends_with_the_episode():
    env = make(general(**CARTPOLE["general"], action_repeat=3))
    env.reset(seed=0)
    rewards, done = [], False
    while not done:
        _, reward, terminated, truncated, _ = env.step(1)
        rewards.append(reward)
        done = terminated or truncated
    single = make(general(**CARTPOLE["general"]))
    single.reset(seed=0)
    steps = 1
    while not single.step(1)[2]:
        steps += 1
    assert sum(rewards) == steps
    assert rewards[:-1] == [3.0] * (len(rewards) - 1)
    env.close(), single.close()


def test_max_steps_is_a_limit_and_no_end():
    games = Games(general(**BOXING, max_steps=4))
    games.start([1, 2])
    noop = np.zeros((2, 1), np.int64)
    ended = [games.step(noop)[1].tolist() for _ in range(4)]
    assert ended == [[False, False]] * 3 + [[True, True]]
    assert not games.terminated.any()
    assert games.limit == 4
    games.close()


def test_rows_come_and_go_without_changing_others():
    alone = Games(general(**CARTPOLE["general"]))
    alone.start([7])
    together = Games(general(**CARTPOLE["general"]))
    together.start([3, 7, 5])
    for step in range(6):
        action = step % 2
        alone.step(np.array([[action]]))
        together.step(np.full((len(together.frames), 1), action))
        if step == 2:
            together.keep(np.array([2, 1]))
            together.start([9])
    assert (together.frames[1] == alone.frames[0]).all()
    alone.close(), together.close()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"game_name": "NoSuchGame-v7"}, "NoSuchGame-v7 cannot be made"),
        ({"game_name": "no_such_module:Game-v0"}, "cannot be made"),
        (CARTPOLE["general"] | {"observation": "pixels"}, "give render"),
        (BOXING | {"environment_arguments": {"colour": 3}}, "cannot be made"),
    ],
    ids=str,
)
def test_what_cannot_be_made_or_seen_is_one_sentence(values, said):
    with pytest.raises(UserError, match=said):
        make(general(**values))


def test_a_crop_that_leaves_nothing_is_one_sentence():
    env = make(general(**BOXING | {"crop_range": "[300:400, :, :]"}))
    with pytest.raises(UserError, match="crop_range leaves nothing"):
        env.reset(seed=0)
    env.close()


def test_an_environment_of_a_users_own_by_module_and_id(tmp_path, monkeypatch):
    (tmp_path / "my_game.py").write_text(
        "import gymnasium, numpy as np\n"
        "class Dot(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(0, 255, (80, 80, 3), np.uint8)\n"
        "    action_space = gymnasium.spaces.MultiBinary(2)\n"
        "    def __init__(self, render_mode=None): self.n = 0\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        super().reset(seed=seed); self.n = 0; return self.look(), {}\n"
        "    def look(self): return np.full((80, 80, 3), 10 * self.n, np.uint8)\n"
        "    def step(self, action):\n"
        "        self.n += int(action.sum())\n"
        "        return self.look(), 1.0, self.n > 5, False, {}\n"
        "gymnasium.register('Dot-v0', Dot, max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = make(general(game_name="my_game:Dot-v0", crop_range="[:, :, :]"))
    env.reset(seed=0)
    frame, reward, *_ = env.step(env.actions.given(np.array([1, 1])))
    assert (frame == 20).all() and reward == 1 and env.limit == 9
