"""The animation of a run: every frame shows the run as it stood after that step."""

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from PIL import Image
from test_study_pictures import subject

from linreg import SGD, cli, study
from linreg.study.animation import LAST, film, frames_of


def artists(figure):
    left, right = figure.axes[:2]
    trail, head = (line for line in left.get_lines() if line.get_color() in study.COLOURS[:2])
    return trail, head, right.get_lines()[-1]


def test_a_frame_shows_path_head_and_fitted_line_after_its_step():
    one = subject("norris", SGD(0.3), epochs=4)
    walked = one.path(most=8)
    figure, show = film(one, walked)
    for step in (0, 3, 8):
        show(step)
        trail, head, line = artists(figure)
        np.testing.assert_array_equal(trail.get_xydata(), one.plane.of(walked[: step + 1]))
        np.testing.assert_array_equal(head.get_xydata(), one.plane.of(walked[[step]]))
        ends = np.array([one.X.min(), one.X.max()])
        np.testing.assert_array_equal(line.get_xdata(), ends)
        coef, intercept = walked[step]
        # One product and one sum each.
        np.testing.assert_allclose(line.get_ydata(), ends * coef + intercept, rtol=0, atol=1e-12)
        assert f"step {step}, loss {float(one.problem.objective(walked[step])):.4g}" in figure.get_suptitle()


def test_with_many_features_the_loss_grows_beside_the_path():
    one = subject("stackloss", SGD(0.1), epochs=6)
    walked = one.path(most=6)
    figure, show = film(one, walked)
    show(4)
    np.testing.assert_array_equal(artists(figure)[2].get_xydata()[:, 1], one.problem.objective(walked.T)[:5])


def test_the_command_films_a_run_into_a_gif_of_its_steps(tmp_path, capsys):
    file = tmp_path / "run.gif"
    assert cli.run(["study", "norris", "--target", "y", "--scale", "standard", "--epochs", "2",
                    "--animate", str(file)]) == 0  # fmt: skip
    assert f"Animation: {file}" in capsys.readouterr().out
    with Image.open(file) as picture:
        # Two epochs of two batches; frames that are alike are stored once, and stay for longer.
        assert picture.n_frames == len(frames_of(4)) == 5
        picture.seek(4)
        assert picture.info["duration"] == pytest.approx((1 + LAST) * 1000 / 8, abs=20)
    assert [path.name for path in tmp_path.iterdir()] == ["run.gif"]


def test_frames_are_dense_at_the_start_and_end_with_the_last_step():
    frames = frames_of(2000)
    assert frames[:4].tolist() == [0, 1, 2, 3]
    assert frames[-1] == 2000
    assert (np.diff(frames, 2) >= -1).all()
    assert (frames_of(0).tolist(), frames_of(1).tolist()) == ([0], [0, 1])


def test_an_mp4_is_written_where_ffmpeg_is_and_refused_in_words_elsewhere(tmp_path):
    one = subject("norris", SGD(0.3), epochs=1)
    if FFMpegWriter.isAvailable():
        assert study.animate(one, tmp_path / "run.mp4").stat().st_size > 1000
    else:
        with pytest.raises(ImportError, match=r"ffmpeg, which is missing: install it, or write a \.gif"):
            study.animate(one, tmp_path / "run.mp4")
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        study.animate(one, tmp_path / "run.png")


def test_a_run_that_diverges_in_float64_is_followed_until_it_has_left_the_picture(tmp_path):
    one = subject("longley", SGD(0.01), standard=False, epochs=60, batch_size=20, dtype="float64")
    assert study.animate(one, tmp_path / "run.gif").stat().st_size > 1000
