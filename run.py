"""Run the experiments of nncompress.

  python run.py                                        list the experiments
  python run.py experiment=NAME [key=value ...]        run one, or go on where it was interrupted; what is trained already is reused
  python run.py experiment=NAME plan=true              what would be trained, what is reused, about how long it takes here
  python run.py experiment=NAME minutes=20             shrink seeds, rounds and steps to a budget; a later run refines the results
  python run.py experiment=NAME --cfg job              print the configuration, every key that may be given
  python run.py -m experiment=NAME training.learning_rate=1e-3,2e-3       a sweep; ready ones: conf/hparams_search/
  python run.py report [NAME ...] [lab.results=FOLDER] write tables, figures and claims again from the records; trains nothing
  python run.py store list [lab.store=FOLDER]          what is stored; `store clean --help` says what can be removed
  python run.py inspect FILE                           what the bytes of a compressed net are spent on; also: compress, decompress

Often used keys:
  lab.results=FOLDER   lab.device=auto|cpu|cuda   lab.workers=N   logger=none|csv|wandb   trainer.devices=2 trainer.strategy=ddp
  hydra/launcher=joblib|submitit_local|submitit_slurm
Hydra's own options: python run.py --hydra-help
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
CONF = ROOT / "conf"
FILE_COMMANDS = ("compress", "inspect", "decompress")
sys.path[:0] = [str(ROOT), str(ROOT / "src")]


def main(arguments: list[str]) -> int:
    """The exit code: 0, 2 for a mistake that the user can mend (one line on stderr), 130 for Ctrl-C."""
    from nncompress.errors import UserError

    try:
        if not arguments:
            from nncompress.lab.configuration import listing

            print(listing(CONF))
        elif arguments[0] in ("-h", "--help"):
            print(__doc__.strip())
        elif arguments[0] == "report":
            report(arguments[1:])
        elif arguments[0] == "store":
            store(arguments[1:])
        elif arguments[0] in FILE_COMMANDS:
            from nncompress.quantize import command

            return command.main(arguments)
        else:
            experiment(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads our output, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def experiment(arguments: list[str]) -> None:
    """Check the command line, then let Hydra run it: once, or once for every point of a sweep."""
    from nncompress.errors import UserError, suggestion
    from nncompress.lab import configuration

    arguments = configuration.normalized(arguments)
    overrides = [word for word in arguments if word.startswith("~") or ("=" in word and not word.startswith("-"))]
    if "--hydra-help" not in arguments:
        for before, word in zip(["", *arguments], arguments):
            if not word.startswith(("-", "~")) and "=" not in word and not before.startswith("-"):
                known = [f"experiment={name}" for name in configuration.experiments(CONF)]
                hint = suggestion(word, ["report", "store", *FILE_COMMANDS]) or suggestion(f"experiment={word}", known)
                raise UserError(f"cannot read {word!r}: write key=value{hint}")
        configuration.check(CONF, overrides, multirun="-m" in arguments or "--multirun" in arguments)

    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises, and this file decides what the user sees
    sys.argv[1:] = sorted(arguments, key=lambda word: word not in overrides)  # Hydra reads overrides before flags
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(configuration.one_line(error)) from error


def job(_: Any) -> float | None:
    """Run one experiment. Returns what a search maximises, measured on the validation split."""
    if str(ROOT / "src") not in sys.path:  # in a process of a launcher
        sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from nncompress.errors import UserError
    from nncompress.lab import configuration

    running = HydraConfig.get()
    sweep = Path(running.sweep.dir).name if running.mode == RunMode.MULTIRUN else None
    try:
        return execute(configuration.request(CONF, list(running.overrides.task)), sweep)
    except UserError as error:
        if sweep is not None:
            raise  # the launcher tells main
        print(error, file=sys.stderr)
        sys.exit(2)


def execute(asked: Any, sweep: str | None) -> float | None:
    """Run what is asked for. `sweep`: the sweep that it is part of.

    Returns: the mean of what the experiment names under `optimized`, None where the records hold nothing of it, for want of a validation split.
    """
    from nncompress.errors import UserError
    from nncompress.lab import experiment as experiments
    from nncompress.lab.loggers import build
    from nncompress.lab.processes import rank

    processes = asked.settings.trainer.get("devices", 1)
    if not isinstance(processes, int) or processes < 1:
        raise UserError(f"trainer.devices = {processes}: give a whole number of processes, 1 or more")
    if asked.settings.trainer.get("num_nodes", 1) != 1 and "WORLD_SIZE" not in os.environ:
        raise UserError(
            f"trainer.num_nodes = {asked.settings.trainer['num_nodes']}: start the same command on every machine, by "
            f"torchrun --nnodes={asked.settings.trainer['num_nodes']} --nproc-per-node={processes} --rdzv-backend=c10d "
            "--rdzv-endpoint=HOST:PORT run.py ..."
        )
    if processes > 1 and sweep is not None:
        raise UserError(
            f"trainer.devices = {processes}: in a sweep each fit has one process; use hydra/launcher=joblib to run fits in parallel"
        )
    if processes > 1 and "WORLD_SIZE" not in os.environ and sweep is None and not asked.plan:
        # Several processes for a single fit: the whole program runs in each, so that all of them see the same stages.
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        os.execv(sys.executable, [sys.executable, *launcher, *sys.argv])
    made = experiments.Experiment(asked.name, asked.recipe, asked.config, asked.scale, asked.about, asked.deviations, asked.variant, asked.part)
    if asked.minutes is not None:
        made = experiments.within(made, asked.settings, asked.minutes)
    if asked.plan:
        if rank() == 0:
            print(experiments.plan(made, asked.settings))
        return None
    logger = build(asked.logger if rank() == 0 else {"name": "none"}, asked.settings.results / "logs", sweep)
    logger.start(asked.name, {"variant": asked.variant, **asked.values})
    try:
        records = experiments.run(made, asked.settings, logger)
    finally:
        logger.finish()
    if asked.optimized is None or asked.optimized["metric"] not in records:
        return None
    chosen = records.loc[records["arm"] == asked.optimized["arm"], asked.optimized["metric"]].dropna()
    return float(chosen.mean()) if len(chosen) else None


def report(arguments: list[str]) -> None:
    """Tables, figures, claims and overview, from records alone."""
    from nncompress.errors import OneLineParser
    from nncompress.lab.configuration import lab_settings
    from nncompress.report import build

    parser = OneLineParser("run.py report", description="Tables, figures, claims and overview, written again from the records.")
    parser.add_argument(
        "words", nargs="*", metavar="NAME or lab.results=FOLDER", help="the experiments to report on; none: all that have records"
    )
    words = parser.parse_args(arguments).words
    names = [word for word in words if "=" not in word]
    settings = lab_settings(CONF, [word for word in words if "=" in word])
    described = build.read_experiments(CONF)
    for name in names or [None]:
        for path in build.report(settings.results, described, name):
            print(path)
    if settings.results.resolve() == ROOT / "results":
        build.fill_readme(ROOT / "README.md", settings.results, described)


def store(arguments: list[str]) -> None:
    from nncompress.errors import OneLineParser
    from nncompress.lab.configuration import lab_settings
    from nncompress.lab.store import Store

    parser = OneLineParser("run.py store", description="What the lab has trained.")
    parser.add_argument("command", choices=["list", "clean"])
    parser.add_argument("settings", nargs="*", metavar="lab.store=FOLDER")
    parser.add_argument("--partial", action="store_true", help="clean: what interrupted stages would continue from")
    parser.add_argument("--older-than-days", type=float, metavar="N", help="clean: entries older than this")
    parser.add_argument("--keys", nargs="+", metavar="KEY", help="clean: these entries")
    parser.add_argument("--stage", help="clean: entries of this kind, such as Fit")
    parser.add_argument("--everything", action="store_true", help="clean: all of it")
    given = parser.parse_args(arguments)
    kept = Store(lab_settings(CONF, given.settings).store)
    if given.command == "clean":
        count, size = kept.clean(
            partial=given.partial, older_than_days=given.older_than_days, keys=given.keys, everything=given.everything, stage=given.stage
        )
        print(f"removed {count} entries, {size / 1e6:.1f} MB")
        return
    entries = kept.entries()
    for entry in entries:
        seconds = "" if entry.seconds is None else f"{entry.seconds:.1f} s"
        print(f"{entry.date}  {entry.key}  {entry.stage:<14} {entry.bytes / 1e6:8.2f} MB {seconds:>10}  {entry.label}".rstrip())
    print(f"{len(entries)} entries, {sum(entry.bytes for entry in entries) / 1e6:.1f} MB in {kept.root}")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code == 130:
        sys.stdout.flush()
        os._exit(code)  # at once: what Python waits for at its end may be a worker that was killed
    sys.exit(code)
