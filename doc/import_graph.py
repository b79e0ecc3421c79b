"""Draws the modules of skmerge and the arrows between them, from tests/test_arrows.py and the sources themselves."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"_net": "#dcebf7", "_forest": "#ddf1e4", "_table": "#fbe9cf", "_plasticity": "#f6dde6",
            "_design": "#e7e2f4", "_plot": "#e9ead2", "_gaussian": "#d9eeee"}  # fmt: skip
ROW = 0.16  # half the height of a box, in rows


def arrows():
    """{module: modules it imports}, lowest first, without those that it reaches through another one."""
    sys.path.insert(0, str(ROOT / "tests"))
    from test_arrows import LEVELS, MODULES, inside

    direct = {name: inside(path) - {name} for name, path in MODULES.items()} | {"_ext": set()}
    reached, shown = {}, {}
    for name in (name for level in LEVELS for name in sorted(level)):
        reached[name] = direct[name].union(*(reached[other] for other in direct[name]))
        shown[name] = {other for other in direct[name] if not any(other in reached[third] for third in direct[name])}
    return shown


def place(shown):
    """(x, y) of each module: right below the lowest one that imports it, beside others with the same neighbours."""
    height = {}
    for name in shown:  # lower ones come first
        height[name] = 1 + max((height[other] for other in shown[name]), default=0 if name != "_ext" else -1)
    users = {name: [other for other in shown if name in shown[other]] for name in shown}
    for name in reversed(shown):
        height[name] = min((height[other] - 1 for other in users[name] if other != "__init__"), default=height[name])
    rows = [sorted(name for name in shown if height[name] == row) for row in range(max(height.values()) + 1)]
    x = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
    for sweep in range(60):
        for row in rows if sweep % 2 else rows[::-1]:
            near = {name: [x[other] for other in (shown if sweep % 2 else users)[name]] or [x[name]] for name in row}
            ranked = sorted(row, key=lambda name: (sum(near[name]) / len(near[name]), name))
            for i, name in enumerate(ranked):
                x[name] = (i + 0.5) / len(row)
    crowded = {name: len(row) > 8 for row in rows for name in row}  # neighbours then stand higher and lower in turn
    for row in rows:
        for i, name in enumerate(sorted(row, key=x.get)):
            height[name] += (0.2 if i % 2 else -0.2) if crowded[name] else 0
    return {name: (x[name], height[name]) for name in shown}


def draw_import_graph(path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = arrows()
    at = place(shown)
    with plt.rc_context({"svg.hashsalt": "skmerge", "font.family": "DejaVu Sans"}):
        figure, axes = plt.subplots(figsize=(11, 8))
        figure.subplots_adjust(0.01, 0.01, 0.99, 0.99)
        for name, below in shown.items():
            for other in sorted(below):
                (x, y), (to_x, to_y) = at[name], at[other]
                axes.annotate(
                    "", (to_x, to_y + ROW), (x, y - ROW),
                    arrowprops={"arrowstyle": "-|>", "color": "#9aa5b1", "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
                )  # fmt: skip
        for name, (x, y) in at.items():
            package, _, module = name.rpartition(".")
            public = not name.startswith("_")
            face = "#0072B2" if public else "#E69F00" if name == "_ext" else PACKAGES.get(package, "#eef2f5")
            axes.text(
                x, y, f"{package}/{module}" if package else name, ha="center", va="center", fontsize=9,
                color="white" if public else "black",
                bbox={"boxstyle": "round,pad=0.35", "fc": face, "ec": "#9aa5b1", "lw": 0.8},
            )  # fmt: skip
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.5, max(y for _, y in at.values()) + 0.5))
        axes.axis("off")
        figure.savefig(path, metadata={"Date": None} if Path(path).suffix == ".svg" else None)
        plt.close(figure)
