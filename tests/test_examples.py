"""The examples: tables of the user's own, good and bad, single nodes, a forest and a wire."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
pytest.importorskip("matplotlib")
sys.path.insert(0, str(EXAMPLES))
import history  # noqa: E402
import logarithms  # noqa: E402
import nodes  # noqa: E402
import plot_database_errors  # noqa: E402
import plot_design  # noqa: E402
import plot_displays  # noqa: E402
import plot_forest_gradients  # noqa: E402
import plot_forging  # noqa: E402
import plot_laws  # noqa: E402
import plot_nanowire  # noqa: E402
import plot_simulation_and_experiment  # noqa: E402
import plot_sparse_alloys  # noqa: E402
import triangle  # noqa: E402
from common import nrmse  # noqa: E402
from read_table import read_table  # noqa: E402

ROWS = "\n".join(f"{a},{b},{3 * a * b}" for a, b in ((1, 2), (2, 5), (3, 1), (4, 4), (5, 3), (6, 7)))
GOOD = "a,b,y\n" + ROWS + "\n"


def run(tmp_path, content, *options):
    """Exit code of plot_laws.py --csv on a file of that content."""
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return plot_laws.main(["--csv", str(path), *options])


def changed(line, cell):
    """GOOD with the first cell of a line replaced."""
    lines = GOOD.splitlines()
    lines[line - 1] = ",".join([cell, *lines[line - 1].split(",")[1:]])
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        pytest.param("", (), "is empty", id="empty"),
        pytest.param("  \n \n", (), "is empty", id="blank"),
        pytest.param(",,,\n,,,\n", (), "holds separators only", id="commas only"),
        pytest.param(";;\n \n;;\n", (), "holds separators only", id="semicolons only"),
        pytest.param("\t\t\n\t\t\n", (), "is empty", id="tabs only"),
        pytest.param('""\n""\n', (), "holds separators only", id="quotes only"),
        pytest.param(b"PK\x03\x04\x14\x00\x06\x00\xff\xfe", (), "not text", id="workbook"),
        pytest.param(b"a\0b,y\n1,2\n", (), "not text", id="nul"),
        pytest.param(GOOD.encode("utf-16"), (), "UTF-16", id="utf-16"),
        pytest.param("größe,y\n1,2\n".encode("latin-1"), (), "CSV UTF-8", id="latin-1"),
        pytest.param('a,b,y\n1,"2,3\n4,5,6\n', (), "quotation mark", id="open quote"),
        pytest.param('a,b,y\n1,"2"3,4\n', (), "quotation mark", id="stray quote"),
        pytest.param('"a,b,y\n' + ROWS, (), "quotation mark", id="open quote in the names"),
        pytest.param("a,b,y\nm,kg,s\n" + ROWS, (), "line 2, holds no number", id="units"),
        pytest.param("a,b,y\nm,-,s\n" + ROWS, (), "if it names the units, delete it", id="units, one without"),
        pytest.param("a,,y\n" + ROWS, (), "column 2 has no name", id="nameless"),
        pytest.param(ROWS, (), "first line holds numbers", id="no names"),
        pytest.param("a,a,y\n" + ROWS, (), "'a' occurs more than once", id="duplicate"),
        pytest.param("a, a ,y\n" + ROWS, (), "'a' occurs more than once", id="duplicate but for blanks"),
        pytest.param(GOOD + "1,2\n", (), "line 8, has 2 cells, not 3", id="short line"),
        pytest.param(GOOD + "1,2,3,4\n", (), "line 8, has 4 cells, not 3", id="long line"),
        pytest.param(GOOD, ("--target", "z"), "no column 'z'; its columns are a, b, y", id="no such target"),
        pytest.param(GOOD.replace(",", " "), (), "no column 'y'; its columns are a b y", id="blanks as separators"),
        pytest.param(GOOD, ("--drop", "z"), "no column 'z'", id="no such column to drop"),
        pytest.param(GOOD, ("--drop", "y"), "choose one", id="target dropped"),
        pytest.param(GOOD, ("--drop", "a", "--drop", "b"), "nothing to predict it from", id="everything dropped"),
        pytest.param("y\n1\n2\n3\n4\n5\n", (), "no column beside the target", id="target alone"),
        pytest.param("a,b,y\n", (), "0 rows", id="no rows"),
        pytest.param("a,b,y\n1,2,3\n2,3,4\n", (), "2 rows below the names; at least 5", id="too few rows"),
        pytest.param("y,a,b\n" + ROWS.replace("3,1", "soft,1"), (), "the target must be numeric", id="text target"),
        pytest.param(
            changed(3, "iron"), (), "line 3, column 'a' is not a number ('iron'); correct it or leave", id="text"
        ),
        pytest.param(changed(3, "1_000"), (), "not a number ('1_000')", id="underscore"),
        pytest.param(changed(3, "2020-01-31"), (), "not a number ('2020-01-31')", id="date"),
        pytest.param(changed(3, "31.01.2020"), (), "leave the column out with --drop 'a'", id="date with points"),
        pytest.param(changed(3, "#DIV/0!"), (), "not a number ('#DIV/0!')", id="error of a spreadsheet"),
        pytest.param(changed(3, "\u22122"), (), "correct it or leave", id="typographic minus"),
        pytest.param(changed(3, '"1,000"'), (), "if it parts thousands, delete it", id="thousands"),
        pytest.param(changed(3, '"1.000,5"'), (), "not a number ('1.000,5')", id="thousands and decimal comma"),
        pytest.param(changed(5, "9" * 400), (), "too large ('9999999999999999999999999999999999999...')", id="huge"),
        pytest.param("a,b,y\n1,2,3\n", (), "1 rows below the names; at least 5", id="one row"),
        pytest.param("sep=;\n" + GOOD.replace(",", ";"), (), "the first line is 'sep=;'; delete it", id="Excel's sep"),
        pytest.param("# measured in May\n" + GOOD, (), "'# measured in May'; delete it", id="remark"),
        pytest.param(GOOD.replace("b", "y", 1), (), "'y' occurs more than once", id="target twice"),
        pytest.param("<html>404</html>", (), "no column 'y'; its columns are <html>", id="html"),
        pytest.param(b"\x1f\x8b\x08\x00abc", (), "not text", id="compressed"),
        pytest.param('a,b,y\n"' + "1" * 200_000 + '",2,3\n', (), "field limit", id="endless cell"),
        pytest.param(changed(3, "12 mm"), (), "not a number ('12 mm')", id="unit"),
        pytest.param(changed(4, ""), (), "line 4, column 'a' is missing", id="missing"),
        pytest.param(changed(4, "NA"), (), "is missing ('NA')", id="NA"),
        pytest.param(changed(4, "nan"), (), "is missing ('nan')", id="nan"),
        pytest.param(changed(5, "inf"), (), "line 5, column 'a' is infinite", id="inf"),
        pytest.param(changed(5, "1e999"), (), "too large ('1e999')", id="overflow"),
        pytest.param(changed(5, '"1,5"'), (), "with a comma; add --decimal ,", id="decimal comma in quotes"),
        pytest.param(GOOD.replace(",", ";").replace("2;5", "2,5;5"), (), "add --decimal ,", id="decimal comma"),
        pytest.param(GOOD.replace(",", ";").replace("2;5", "2.5;5"), ("--decimal", ","), "with a point", id="point"),
        pytest.param("a,b,y\n" + "".join(f"{i},{i},7\n" for i in range(6)), (), "is 7 in every row", id="constant y"),
        pytest.param(
            "a,b,y\n" + "".join(f"1,2,{i}\n" for i in range(6)), (), "beside the target varies", id="constant X"
        ),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, capsys, content, options, expected):
    options = options if "--target" in options else (*options, "--target", "y")
    assert run(tmp_path, content, *options) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("plot_laws: ") and err.count("\n") == 1
    assert expected in err


@pytest.mark.parametrize("bad", ["\x1b[31mred", "bell\x07", "back\x08", "\u202eturned", "\x9bC1", "two\u2028lines"])
@pytest.mark.parametrize(
    ("content", "options"),
    [
        (GOOD, ()),
        (GOOD, ("--target", "z")),
        (GOOD, ("--target", "y")),
        (GOOD, ("--target", "BAD")),
        (GOOD, ("--target", "y", "--drop", "BAD", "--drop", "b")),
        (changed(3, "BAD"), ("--target", "y")),
        ("a,a,y\n" + ROWS, ("--target", "y")),
        ("a,b,y\nBAD,kg,s\n" + ROWS, ("--target", "y")),
    ],
)
def test_no_name_or_cell_reaches_the_terminal_with_what_it_obeys(tmp_path, capsys, content, options, bad):
    """Such as escape sequences: shown as Python writes them."""
    content = content.replace("BAD", bad).replace("a,", f"{bad},", 1 + ("a,a," in content))
    run(tmp_path, content, *(bad if option == "BAD" else option for option in options))
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in (out + err).split("\n"))
    if options != ("--target", "y", "--drop", "BAD", "--drop", "b"):
        assert repr(bad)[1:-1] in out + err


def test_the_target_must_be_named(tmp_path, capsys):
    assert run(tmp_path, GOOD) == 2
    assert "--target NAME, one of a, b, y" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "expected"), [("missing.csv", "No such file"), ("", "directory")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, capsys, name, expected):
    assert plot_laws.main(["--csv", str(tmp_path / name), "--target", "y"]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.filterwarnings("default")  # what matters is the last word
@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_extreme_numbers_give_a_law_or_one_line(tmp_path, capsys, size):
    content = "a,b,y\n" + "".join(
        f"{a * size},{b},{a * b * size}\n" for a, b in np.random.default_rng(0).uniform(1, 2, (12, 2))
    )
    assert run(tmp_path, content, "--target", "y") in (0, 2)
    out, err = capsys.readouterr()
    assert "law: y" in out or err.count("\n") == 1


def test_a_good_table_prints_law_error_and_rows(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "gas.csv"
    rows = "".join(f"g{i},{n:.4f},{v:.4f},{8.31 * n / v:.8f}\n" for i, (n, v) in enumerate(rng.uniform(1, 5, (40, 2))))
    path.write_text("sample,n,V,p\n" + rows + "far,50,2,207.75\n")
    command = [sys.executable, str(EXAMPLES / "plot_laws.py"), "--csv", str(path), "--target", "p", "--drop", "sample"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "41 rows, p from n, V" in done.stdout
    assert "law: p = 8.31 n V^-1.00" in done.stdout
    assert "validation error" in done.stdout
    assert done.stdout.splitlines()[-1].split()[:2] == ["least", "42"]  # the far one


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
def test_separators_byte_order_mark_blank_and_crlf_lines(tmp_path, separator, start):
    path = tmp_path / "table.csv"
    path.write_bytes((start + GOOD.replace(",", separator).replace("\n", "\r\n") + separator * 2 + "\r\n").encode())
    names, X, y, line = read_table(path, "y")
    assert names == ["a", "b"] and X.shape == (6, 2)
    np.testing.assert_array_equal(y, 3 * X[:, 0] * X[:, 1])
    assert line[0] == (3 if start == "\n" else 2)


def test_quoted_cells(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.split()))
    names, X, y, _ = read_table(path, "y")
    assert names == ["a", "b"]
    np.testing.assert_array_equal(y, 3 * X[:, 0] * X[:, 1])


def test_decimal_commas(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a;b;y\n" + "".join(f"{i},5;1e{i};-{i},25\n" for i in range(6)))
    _, X, y, _ = read_table(path, "y", decimal=",")
    np.testing.assert_array_equal(X[:, 0], np.arange(6) + 0.5)
    np.testing.assert_array_equal(y, -np.arange(6) - 0.25)


def parabola(low):
    x = np.linspace(low, 2, 60)
    return x, 1 - x + x**2


@pytest.mark.parametrize(("low", "error"), [(0.5, 0.0451), (-1, 0.8165)])
def test_one_node_fits_one_branch_of_the_parabola_and_both_forms_the_same(low, error):
    x, y = parabola(low)
    (g, e, condition), (older, e_older, condition_older) = (nodes.fit_node(x, y, k) for k in ("saturating", "outside"))
    assert e == pytest.approx(error, abs=1e-4)
    assert e_older == pytest.approx(e, rel=1e-4)
    if low == 0.5:  # over both branches the best curve is a step, whose place is hardly decided
        np.testing.assert_allclose(g(x), older(x), atol=1e-4)
    assert condition < condition_older


def test_two_nodes_fit_the_whole_parabola():
    x, y = parabola(-1)
    assert nodes.fit_node(x, y, "saturating", 2, starts=10)[1] < 0.01


@pytest.mark.parametrize("low", [0, -1])
def test_two_nodes_multiply_half_sum_and_half_difference(low):
    X = np.random.default_rng(0).uniform(low, 1, (100, 2))
    net = nodes.two_node_product(X)
    assert net.A_.shape[2] == 2
    beyond = np.random.default_rng(1).uniform(-3, 3, (50, 2))
    np.testing.assert_allclose(net.predict(nodes.halves(beyond)), beyond[:, 0] * beyond[:, 1], atol=1e-6)
    exponents = net.A_[0, 0]
    np.testing.assert_allclose(np.sort(exponents.ravel()), [0, 0, 2, 2], atol=1e-6)


def test_logarithms_fail_on_sums_and_signs_only():
    laws = {law.name: law for law in logarithms.load_formulae()}
    error = {}
    for name in ("product_pos", "series_resistors", "product"):
        X, y = laws[name].sample(200, random_state=0)
        Z, truth = laws[name].sample(200, random_state=1)
        error[name] = nrmse(logarithms.log_log(X, y, Z)[0], truth)
    assert error["product_pos"] < 1e-10 < 0.3 < error["series_resistors"] < error["product"]


def test_the_orbits_part_finds_keplers_law_and_draws(tmp_path, capsys):
    plot_laws.orbits(tmp_path)
    out = capsys.readouterr().out
    assert "law found:            T = 2.81e+05 a^1.50 M^-0.50" in out
    assert (tmp_path / "laws.png").stat().st_size < 150_000


def test_the_history_part_finds_the_laws_of_the_textbooks(tmp_path):
    """Constants of the textbooks within three standard errors, and the published fit of the enzyme."""
    found = {
        record.title: history.found(record)[1] for record in (history.boyle(), history.hydrogen(), history.enzyme())
    }
    assert found["Boyle 1662"].terms[0].exponent == [-1]
    assert re.match(
        r"L = 91\.18\(.*\) n\^2\.00\(.*\) \(1 - 1\.00\(.*\) n\^2\.00 m\^-2\.00\)\^-1\.00",
        str(found["hydrogen, Rydberg 1888"]),
    )
    assert re.match(r"v = g\(3\.32e\+03\(.*\) c\^1\.00\(.*\); 212\.68\(.*\)\)", str(found["enzyme, Michaelis 1913"]))
    law, _ = history.found(history.hubble())
    assert law.predict([[1.0]])[0] == pytest.approx(424, abs=1)
    history.history(tmp_path)
    assert (tmp_path / "history.png").exists()


def test_the_nodes_part_draws(tmp_path):
    nodes.nodes(tmp_path)
    assert (tmp_path / "nodes.png").exists()


def test_the_forest_follows_the_parabola_and_draws(tmp_path, capsys):
    plot_forest_gradients.main(["--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "squared error          cuts at 2.5, squares left over 8.7 of 49" in out
    assert "a line on either side  cuts at 1.5, squares left over 0.0 of 49" in out
    names = "random forest", "slopes estimated", "slopes known", "means", "planes", "quadratics"
    lines = [next(line for line in out.splitlines() if name in line) for name in names]
    stairs, estimated, known, *by_order = (float(line.split()[-1].rstrip("%")) for line in lines)
    assert known < 0.1 < estimated < stairs / 2
    assert by_order[0] > 2 * by_order[1] > 4 * by_order[2]
    for name in ("parabola", "partition"):
        assert 10_000 < (tmp_path / f"forest_{name}.png").stat().st_size < 300_000


def test_the_displays_are_drawn(tmp_path):
    plot_displays.main(["--out", str(tmp_path)])
    for name in ("displays.png", "law_list.png"):
        assert 10_000 < (tmp_path / name).stat().st_size < 300_000


@pytest.mark.filterwarnings("ignore:.*grains left the states of the training")  # forty crystals leave gaps
def test_the_propagator_follows_the_wire_where_a_forest_does_not(tmp_path, capsys):
    plot_nanowire.main(["--out", str(tmp_path), "--train", "40", "--test", "5"])
    lines = capsys.readouterr().out.splitlines()
    forest, ours = (next(line for line in lines if name in line).split() for name in ("random forest", "propagator"))
    stress = [float(words[words.index("stress") + 1].rstrip("%,")) for words in (forest, ours)]
    turned = [float(words[words.index("lattice") + 1]) for words in (forest, ours)]
    assert stress[1] < 2 < stress[0]
    assert turned[1] < 0.5 < turned[0]
    assert 10_000 < (tmp_path / "nanowire.png").stat().st_size < 300_000


@pytest.mark.filterwarnings("ignore:.*grains left the states of the training")
def test_the_propagator_follows_a_forged_polycrystal(tmp_path, capsys):
    plot_forging.main(["--out", str(tmp_path), "--train", "40", "--grains", "40"])
    words = capsys.readouterr().out.split()
    assert float(words[words.index("error") + 1].rstrip("%")) < 5
    assert float(words[words.index("degrees") - 1]) < 1
    assert 10_000 < (tmp_path / "forging.png").stat().st_size < 300_000


def test_the_proposed_mixture_is_as_good_as_said_and_drawn(tmp_path, capsys):
    plot_design.main(["--out", str(tmp_path), "--parts", "40"])
    lines = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    correlation = next(words[-1] for name, words in lines.items() if name.startswith("errors of strength"))
    assert -0.9 < float(correlation) < -0.3
    probability = np.array(lines["probability"][1:], float)
    assert len(probability) == 5
    assert (np.diff(probability) <= 0).all()
    X = np.array([[lines[name][1 + i] for name in plot_design.ELEMENTS] for i in range(5)], float)
    np.testing.assert_allclose(X.sum(axis=1), 100, atol=0.1)
    assert (plot_design.density(X) <= 4.905).all()
    strength, elongation = plot_design.truth(X[:1])[0]
    assert strength > 980 - 2 * 44
    assert elongation > 17
    assert 10_000 < (tmp_path / "design.png").stat().st_size < 300_000


def test_a_sparse_table_is_filled_better_than_by_forests(tmp_path, capsys):
    plot_sparse_alloys.main(["--out", str(tmp_path)])
    lines = [line.replace(",", "").split() for line in capsys.readouterr().out.splitlines()]
    ours, forest = ([float(line[at]) for line in lines if "R2" in line] for at in (4, -1))
    assert len(ours) == 5
    assert np.mean(ours) > np.mean(forest) + 0.03
    cover, surest, whole = (next(line for line in lines if "intervals" in line)[at] for at in (4, 10, -1))
    assert float(cover.rstrip("%;")) > 82
    assert float(surest) < 0.4 * float(whole)
    assert 10_000 < (tmp_path / "sparse_alloys.png").stat().st_size < 300_000


def test_sparse_alloys_and_database_errors_take_a_file(tmp_path, capsys):
    names = ["yield_MPa", "hardness_HV"]
    plot_sparse_alloys.make_alloys(80)[0].assign(maker="a").to_csv(tmp_path / "own.csv", index=False)
    for example in (plot_sparse_alloys, plot_database_errors):
        example.main(["--out", str(tmp_path), "--table", str(tmp_path / "own.csv"), "--properties", *names])
    assert "spoiled" not in capsys.readouterr().out
    tables = {
        "": "is empty", ",,\n,,\n": "separators only", "a,\x1b[31mred\n1,2\n": r"no column yield_MPa.*a, \\x1b\[31mred",
        "yield_MPa,hardness_HV\n1,soft\n": "not all cells of hardness_HV are numbers",
    }  # fmt: skip
    for text, message in tables.items():
        (tmp_path / "bad.csv").write_text(text)
        for example in (plot_sparse_alloys, plot_database_errors):
            with pytest.raises(SystemExit, match=message):
                example.main(["--out", str(tmp_path), "--table", str(tmp_path / "bad.csv"), "--properties", *names])


def test_spoiled_entries_head_the_list(tmp_path, capsys):
    plot_database_errors.main(["--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.endswith(("decimal slip", "wrong unit")) for line in lines[:8])
    assert float(next(line for line in lines if "precision" in line).split()[2].rstrip(",")) > 0.65
    assert 10_000 < (tmp_path / "database_errors.png").stat().st_size < 300_000


def test_simulations_and_a_law_help_six_experiments(tmp_path, capsys):
    plot_simulation_and_experiment.main(["--out", str(tmp_path)])
    out = capsys.readouterr().out.splitlines()
    held = [line for line in out if "in five tables" in line]
    assert len(held) == 2
    assert all(0.85 < float(line.partition("hold ")[2].partition("%")[0]) / 100 <= 1 for line in held)  # 0.74 before
    lines = [line for line in out if "error" in line]
    error = {line[:40].strip(): float(line[40:].split()[1]) for line in lines}
    best = error.pop("all three")
    assert best < 0.6 * min(error.values())
    assert float(lines[-1].split()[-1].rstrip("%")) > 80
    assert 10_000 < (tmp_path / "simulation_and_experiment.png").stat().st_size < 300_000


def test_the_triangle_holds_every_axis_once():
    corners = triangle.project([[0.0, 0.0, 0.0], [0.0, np.pi / 4, 0.0], [0.0, np.arccos(1 / np.sqrt(3)), np.pi / 4]])
    expected = [[0, 0], [np.sqrt(2) - 1, 0], [(np.sqrt(3) - 1) / 2] * 2]
    np.testing.assert_allclose(corners, expected, atol=1e-12)
    angles = np.random.default_rng(0).uniform(0, 6, (1000, 3))
    x, y = triangle.project(angles).T
    assert (y >= 0).all() and (y <= x).all() and (x <= np.sqrt(2) - 1).all()
    turned = triangle.project(angles + np.array([0, 0, np.pi / 2]))
    np.testing.assert_allclose(turned, np.column_stack([x, y]), atol=1e-12)
