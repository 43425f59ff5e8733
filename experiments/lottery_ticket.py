"""Frankle & Carbin 2019, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks" (arXiv:1803.03635), Figures 1, 3, 4.

Claim: a trained net holds a subnetwork that, put back to its own initial weights and trained alone, learns at least as fast and as well
as the dense net (a winning ticket); the same mask on fresh weights does not (random reinit).

Beside the paper's arms stand rewinding and the instability test of Frankle et al. 2020 (arXiv:1912.05671), and the retraining arms of
Renda et al. 2020 (arXiv:2003.02389).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.checking import refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.lottery_ticket_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Fit, InitialWeights, Interpolation, MaskOverlap, PrunedMask, ShuffledMask
from nncompress.prune import one_shot_fraction
from nncompress.types import STRICT, Count, Dataset, Fraction, Model, Positive, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("rounds", "seeds", "control_seeds", "arms", "rewind_steps", "instability_rounds", "last_round")
"""The keys that choose among the rows and change none."""
ALONG = ("alpha",)
"""What curves run along, beside the step."""
ARMS = (
    "winning_ticket", "random_reinit", "random_mask", "one_shot", "rewinding",
    "learning_rate_rewinding", "fine_tuning", "float32", "instability", "overlap",
)  # fmt: skip
SHORTENED = ("rewinding", "learning_rate_rewinding", "fine_tuning", "float32")
"""The arms that may end before the others."""


@dataclass(frozen=True)
class Config:
    """`prune_fraction`: layer -> share of the surviving weights removed each round. `rewind_steps`: k of weight rewinding.
    `seeds`: replicates of winning ticket and random reinit; `control_seeds`: of the other arms. `reinit_offset`, `order_offset`:
    added to a seed to draw fresh weights or another batch order. `fine_tuning_rate`: learning rate of fine-tuning.
    `instability_rounds`: rounds at which two runs that differ in batch order only are interpolated. `last_round`: arm -> its last round, for
    rewinding, learning-rate rewinding, fine-tuning and float32, where that comes before `rounds`."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    prune_fraction: dict[str, Fraction]
    rounds: Count
    seeds: list[Seed]
    control_seeds: list[Seed]
    arms: list[str]
    rewind_steps: list[Count]
    reinit_offset: Count
    order_offset: Count
    fine_tuning_rate: Positive
    instability_rounds: list[int]
    last_round: dict[str, Count]

    def rounds_of(self, arm: str) -> int:
        return min(self.rounds, self.last_round.get(arm, self.rounds))


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    for arm in cfg.last_round:
        if arm not in SHORTENED:
            raise UserError(f"last_round: {arm!r} is none of the arms that can end early: {', '.join(SHORTENED)}")
    refuse_empty(cfg, "seeds")
    refuse_repeats(cfg, "seeds", "control_seeds", "rewind_steps", "instability_rounds", "arms")
    for k in cfg.rewind_steps:
        if "rewinding" in cfg.arms and k >= cfg.training.steps:
            raise UserError(f"rewind_steps: {k} is not below training.steps = {cfg.training.steps}")
    for round_ in cfg.instability_rounds:
        if "instability" in cfg.arms and not 0 <= round_ <= cfg.rounds:
            raise UserError(f"instability_rounds: {round_} is outside 0 .. rounds = {cfg.rounds}")
    for name, others in (("reinit_offset", cfg.seeds), ("order_offset", cfg.control_seeds)):
        if clash := {seed + getattr(cfg, name) for seed in others} & {*cfg.seeds, *cfg.control_seeds}:
            raise UserError(f"{name} = {getattr(cfg, name)} leads from one seed to another ({min(clash)}); choose a larger one")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds, then rounds; fewer steps last, since only they train other nets."""
    yield cfg
    arms = list(cfg.arms)
    while len(arms) > 2:
        arms.pop()
        yield (cfg := replace(cfg, arms=list(arms)))
    while len(cfg.seeds) > 3:  # fewer would leave every claim inconclusive
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1], control_seeds=[s for s in cfg.control_seeds if s in cfg.seeds[:-1]]))
    while cfg.rounds > 2:
        yield (cfg := replace(cfg, rounds=cfg.rounds - 1, instability_rounds=[r for r in cfg.instability_rounds if r < cfg.rounds]))
    while cfg.training.steps > 500:
        steps = cfg.training.steps * 3 // 4
        training = replace(cfg.training, steps=steps, milestones=tuple(m for m in cfg.training.milestones if m < steps))
        yield (cfg := replace(cfg, training=training, rewind_steps=[k for k in cfg.rewind_steps if k < steps]))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm, round and seed of the experiment, as the stage that measures it."""
    dense = {
        seed: Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed) for seed in {*cfg.seeds, *cfg.control_seeds}
    }
    fraction = {f"{layer}.weight": share for layer, share in cfg.prune_fraction.items()}

    tickets = {seed: list(iterated(fit, fraction, cfg.rounds)) for seed, fit in dense.items()}
    for round_ in range(cfg.rounds + 1):
        for seed in cfg.seeds if "winning_ticket" in cfg.arms else ():
            yield Row(tickets[seed][round_], {"arm": "winning_ticket", "round": round_, "seed": seed}, keep_curves=True)
        for seed in cfg.seeds if "random_reinit" in cfg.arms and round_ > 0 else ():
            fresh = replace(tickets[seed][round_], start=InitialWeights(cfg.model, seed + cfg.reinit_offset))
            yield Row(fresh, {"arm": "random_reinit", "round": round_, "seed": seed}, keep_curves=True)

    for arm in cfg.arms:
        for seed in cfg.control_seeds:
            yield from overlaps(cfg, seed, tickets, fraction) if arm == "overlap" else controls(cfg, arm, seed, tickets[seed], fraction)


def iterated(dense: Fit, fraction: dict[str, float], rounds: int) -> Iterator[Fit]:
    """The dense net, then its winning ticket of every round: pruned, reset to the start, trained again."""
    yield (fit := dense)
    for _ in range(rounds):
        yield (fit := replace(dense, mask=PrunedMask(fit, fraction)))


def one_shot(dense: Fit, fraction: dict[str, float], round_: int) -> PrunedMask:
    """The mask with the layer densities of round `round_`, pruned at once."""
    return PrunedMask(dense, {layer: one_shot_fraction(share, round_) for layer, share in fraction.items()})


def in_float32(fit: Fit) -> Fit:
    return replace(fit, training=replace(fit.training, precision="32-true"))


def controls(cfg: Config, arm: str, seed: int, tickets: list[Fit], fraction: dict[str, float]) -> Iterator[Row]:
    """The arms that the winning ticket is compared with, for one seed. `tickets`: its winning tickets by round."""
    dense = tickets[0]
    identity: dict[str, Value] = {"arm": arm, "seed": seed}
    rounds, retraining = range(1, cfg.rounds + 1), range(1, cfg.rounds_of(arm) + 1)
    if arm == "random_mask":  # as sparse, layer by layer, but anywhere
        for round_ in rounds:
            mask = tickets[round_].mask
            assert mask is not None
            yield Row(replace(dense, mask=ShuffledMask(mask, seed)), {**identity, "round": round_})
    elif arm == "one_shot":  # to the target at once
        for round_ in rounds:
            yield Row(replace(dense, mask=one_shot(dense, fraction, round_)), {**identity, "round": round_})
    elif arm == "rewinding":  # back to the weights of step k, not to theta_0 (Frankle et al. 2020)
        for k in cfg.rewind_steps:
            early = replace(dense, stop_step=k)
            fit = dense
            for round_ in retraining:
                fit = replace(dense, start=early, begin_step=k, mask=PrunedMask(fit, fraction))
                yield Row(fit, {**identity, "round": round_, "rewind_step": k})
    elif arm in ("learning_rate_rewinding", "fine_tuning"):  # keep the trained weights, train on (Renda et al. 2020)
        last_rate = replace(cfg.training, learning_rate=cfg.fine_tuning_rate, schedule="constant", milestones=(), warmup=0)
        training = cfg.training if arm == "learning_rate_rewinding" else last_rate
        fit = dense
        for round_ in retraining:
            fit = replace(dense, start=fit, mask=PrunedMask(fit, fraction), training=training)
            yield Row(fit, {**identity, "round": round_})
    elif arm == "float32":  # the winning ticket again, every layer in float32
        for round_, fit in enumerate(iterated(in_float32(dense), fraction, cfg.rounds_of("float32"))):
            yield Row(fit, {**identity, "round": round_})
    elif arm == "instability":  # two runs that differ in batch order only (Frankle et al. 2020)
        for round_ in cfg.instability_rounds:
            other = replace(tickets[round_], seed=seed + cfg.order_offset)
            yield Row(Interpolation(tickets[round_], other), {**identity, "round": round_}, keep_curves=True)


def overlaps(cfg: Config, seed: int, tickets: dict[int, list[Fit]], fraction: dict[str, float]) -> Iterator[Row]:
    """How much of the ticket's mask others share, for one seed: that of the seed above it, the one-shot mask, the mask found in float32."""
    dense, following = tickets[seed][0], tickets.get(seed + 1)
    float32 = list(iterated(in_float32(dense), fraction, cfg.rounds_of("float32"))) if "float32" in cfg.arms else [dense]
    for round_ in range(1, cfg.rounds + 1):
        mask = tickets[seed][round_].mask
        others = {
            "overlap_of_seeds": following[round_].mask if following else None,
            "overlap_with_one_shot": one_shot(dense, fraction, round_) if round_ > 1 else None,  # one round is one shot
            "overlap_with_float32": float32[round_].mask if float32[0] != dense and round_ < len(float32) else None,
        }
        for arm, other in others.items():
            if mask is not None and other is not None:
                yield Row(MaskOverlap(mask, other), {"arm": arm, "round": round_, "seed": seed})
