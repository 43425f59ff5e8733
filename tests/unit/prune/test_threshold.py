from __future__ import annotations

import numpy as np
import pytest

from nncompress.prune import adjusted_dropout, gaussian_share, keep_above, quality_keeping, thresholds

WEIGHTS = {"fc1.weight": np.array([[3.0, -1.0], [-3.0, 1.0]], np.float32), "fc2.weight": np.array([[0.5, -2.0]], np.float32)}


def test_a_threshold_is_quality_times_the_standard_deviation_of_the_layer() -> None:
    assert thresholds(WEIGHTS, {"fc1.weight": 0.5}) == {"fc1.weight": pytest.approx(0.5 * np.sqrt(5))}


def test_weights_at_the_threshold_stay_and_smaller_ones_of_either_sign_go() -> None:
    (mask,) = keep_above(WEIGHTS, {}, {"fc1.weight": 1.5}).values()
    assert mask.tolist() == [[True, False], [True, False]]
    assert keep_above(WEIGHTS, {}, {"fc1.weight": 1.0})["fc1.weight"].all()


def test_what_was_pruned_stays_pruned_and_other_layers_keep_their_mask() -> None:
    previous = {"fc1.weight": np.array([[False, True], [True, True]]), "fc2.weight": np.array([[True, False]])}
    masks = keep_above(WEIGHTS, previous, {"fc1.weight": 1.5})
    assert masks["fc1.weight"].tolist() == [[False, False], [True, False]] and masks["fc2.weight"].tolist() == [[True, False]]
    assert previous["fc1.weight"].sum() == 3


@pytest.mark.parametrize(("quality", "share"), [(1.75, 0.08), (1.70, 0.09), (1.13, 0.26), (1.55, 0.12), (1.31, 0.19), (0.44, 0.66), (0, 1)])
def test_of_normal_weights_a_threshold_keeps_the_tail(quality: float, share: float) -> None:
    assert gaussian_share(quality) == pytest.approx(share, abs=0.002)
    normal = {"fc1.weight": np.random.default_rng(0).normal(0, 0.3, (200, 500))}
    (mask,) = keep_above(normal, {}, thresholds(normal, {"fc1.weight": quality})).values()
    assert mask.mean() == pytest.approx(share, abs=0.005)


def test_the_quality_that_keeps_a_share_keeps_it_exactly() -> None:
    assert quality_keeping(WEIGHTS["fc1.weight"], 0.5) == pytest.approx(2 / np.sqrt(5))  # between 1 and 3
    skewed = {"fc1.weight": np.random.default_rng(0).standard_t(3, (50, 40))}
    for share in (0.08, 0.26, 1.0):
        (mask,) = keep_above(skewed, {}, thresholds(skewed, {"fc1.weight": quality_keeping(skewed["fc1.weight"], share)})).values()
        assert mask.sum() == round(share * mask.size)
    with pytest.raises(ValueError, match="share = 0 is outside"):
        quality_keeping(WEIGHTS["fc1.weight"], 0)


def test_dropout_of_the_paper_s_example() -> None:
    assert adjusted_dropout(0.5, 0.09) == pytest.approx(0.15)
    assert adjusted_dropout(0.5, 1.0) == 0.5


@pytest.mark.parametrize(
    ("quality", "message"), [({"fc9.weight": 1.0}, "names the layer 'fc9.weight'"), ({"fc1.weight": -1.0}, "= -1.0 is below")]
)
def test_a_wrong_quality_is_refused(quality: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        thresholds(WEIGHTS, quality)
