"""How large a run is, and what is too large."""

import pytest
from evolve_test import train

from estool import evolve, sizes
from estool.study import toy
from kit.command import cli
from kit.command.errors import UserError


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--average", "3"), "^--average 3: expected at most --generations 2"),
        (("--average", "2147483647", "--generations", "0"), "GB of memory.*--average"),
        (("--eval_episodes", "100001"), "selection seeds: give a smaller --eval_episodes$"),
        (("--num_episode", "100001"), "of 600006 episodes.*--population.*--num_episode"),
        (("-n", "100000000"), "^-n 100000000: the work needs .* -n/--num_worker$"),
    ],
)
def test_what_is_too_large_or_contradicts_itself_is_refused_at_the_start(tmp_path, flags, said):
    with pytest.raises(UserError, match=said):
        train(tmp_path, 2, *flags)
    assert not list(tmp_path.rglob("*"))


def test_a_full_covariance_has_to_fit_into_memory():
    parser = cli.parser("A script.")
    evolve.add_arguments(parser)
    sizes.require(cli.parse(parser, argv=["-o", "cma_diagonal"]), "a", 64, 10**5)
    with pytest.raises(UserError, match=r"covariance of 1000000 parameters .*cma_diagonal"):
        sizes.require(cli.parse(parser, argv=["-e", "1", "--population", "3"]), "a", 3, 10**6)


def test_candidates_come_from_the_population_or_from_the_ranks(capsys):
    parser = cli.parser("A script.")
    evolve.add_arguments(parser)
    parser.set_defaults(population=6)  # as a preset does

    def sizes_of(*argv):
        args = cli.parse(parser, argv=["-n", "16", *argv])
        return sizes.population(args, 16), sizes.of_rank(args)

    assert sizes_of() == (6, (6, 6))
    assert sizes_of("-t", "2", "-e", "4") == (32, (8, 8))  # reference: train.py -n 16 -t 2 -e 4
    assert sizes_of("--population", "64", "-e", "1", "--eval_episodes", "100") == (64, (4, 7))
    with pytest.raises(SystemExit):
        sizes_of("-t", "2", "--population", "64")
    assert "--population: not allowed with argument -t" in capsys.readouterr().err


def test_candidates_of_a_rank_make_the_population(tmp_path):
    toy.main(["-n", "1", "-t", "4", "-e", "1", "--generations", "1", "--directory", str(tmp_path)])
    assert (tmp_path / "log/toy.cma.1.4.json").exists()
