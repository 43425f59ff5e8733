"""Records made by hand, on which every claim of the lottery-ticket recipe holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

ROUNDS = tuple(range(21))
SEEDS = (0, 1, 2, 3, 4)
DENSE_STEPS, DENSE_ACCURACY = 5000, 0.98


def density(round_: int) -> float:
    """Of LeNet-300-100: the hidden layers lose 20 % a round, the output layer 10 %."""
    return (265200 * 0.8**round_ + 1000 * 0.9**round_) / 266200


def fake_records(
    model: str = "lenet_300_100", rounds: tuple[int, ...] = ROUNDS, seeds: tuple[int, ...] = SEEDS, scale: str = "paper"
) -> pd.DataFrame:
    """One row per arm, round and seed; seeds differ by a hundredth of a percentage point."""
    gain = 0.03 if model.startswith("conv") else 0.003
    rows = []
    for seed in seeds:
        wobble = (seed - 2) * 1e-4
        for round_ in rounds:
            kept = density(round_)
            ticket = DENSE_ACCURACY + (0 if round_ == 0 else gain if kept > 0.035 else -0.01) + wobble
            early = DENSE_STEPS * (1 if round_ == 0 else 0.62)
            # arm, rewind step, accuracy at early stop, step of early stop, accuracy at the end
            arms = [
                ("winning_ticket", None, ticket, early, ticket - 0.001),
                ("random_reinit", None, ticket - 0.006, 2.5 * early, ticket - 0.03),
                ("random_mask", None, ticket - 0.01, 3 * early, ticket - 0.04),
                ("one_shot", None, DENSE_ACCURACY + wobble + (0.002 if round_ else 0), DENSE_STEPS * (0.8 if round_ else 1), ticket),
                ("rewinding", 100, ticket, early, ticket - 0.05),
                ("rewinding", 500, ticket, early, ticket + 0.001),
                ("learning_rate_rewinding", None, ticket, early, ticket + 0.002),
                ("fine_tuning", None, ticket, 0, ticket - 0.01),
                ("float32", None, ticket + 0.0002, early, ticket),
            ]
            for arm, step, accuracy, stop, final in arms:
                rows.append(
                    {
                        "arm": arm, "round": round_, "rewind_step": step, "seed": seed, "density": kept,
                        "density_fc1.weight": 0.8**round_, "density_fc3.weight": 0.9**round_, "steps": 50000 - (step or 0),
                        "precision": "32-true" if arm == "float32" else "bf16-mixed",
                        "early_stop_accuracy": accuracy, "early_stop_step": stop, "test_accuracy": final, "validation_accuracy": final,
                        "early_stop_validation_loss": 0.06 if round_ in (5, 6, 7) else 0.08, "train_flops": 1e12,
                        "total_flops": 1e12 * (round_ + 1), "seconds": 60.0, "total_seconds": 60.0 * (round_ + 1),
                        "key": f"{arm}-{step}-{round_}-{seed}",
                    }
                )  # fmt: skip
            rows.append({"arm": "instability", "round": round_, "seed": seed, "density": kept, "instability": 0.01 + wobble})
            for arm in ("overlap_of_seeds", "overlap_with_one_shot", "overlap_with_float32") if round_ else ():
                shared = {"overlap": kept + 0.1 * (1 - kept) + wobble, "overlap_by_chance": kept / (2 - kept)}
                rows.append({"arm": arm, "round": round_, "seed": seed, "density": kept, **shared})
    identity = {"experiment": "lottery_ticket", "scale": scale, "dataset": "mnist", "model": model, "variant": "", "device": "cpu"}
    return pd.DataFrame(rows).assign(**identity)


def fake_curves(rounds: tuple[int, ...] = ROUNDS, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """Learning curves that rise to 98 %, later for fresh weights."""
    return pd.DataFrame(
        [
            {
                "arm": arm, "round": round_, "seed": seed, "step": step, "validation_loss": 2.0 / (1 + step / 200),
                "validation_accuracy": 0.98 - 0.5 / (1 + step / (80 if arm == "winning_ticket" else 40)) - 0.0004 * seed - 0.001 * round_,
            }
            for arm in ("winning_ticket", "random_reinit")
            for round_ in rounds
            for seed in seeds
            for step in range(0, 5001, 250)
        ]
    )  # fmt: skip


def write_results(results: Path, experiment: str, records: pd.DataFrame, curves: pd.DataFrame | None = None) -> None:
    for folder, frame in (("records", records), ("curves", curves)):
        if frame is not None:
            path = results / folder / f"{experiment}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(path, index=False)


def fake_interpolations() -> pd.DataFrame:
    """What the instability arm leaves among the curves: test error along the line between two runs."""
    alphas = [i / 29 for i in range(30)]
    rows = [
        {"arm": "instability", "round": round_, "seed": seed, "step": i, "alpha": a, "test_error": 0.02 + 0.03 * a * (1 - a) + 1e-4 * seed}
        for round_ in (0, 7, 14)
        for seed in (0, 1, 2)
        for i, a in enumerate(alphas)
    ]
    return pd.DataFrame(rows)
