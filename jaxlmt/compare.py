"""Several runs side by side: what ``jaxlmt compare`` reads and prints."""

from pathlib import Path

from . import results
from .run import POSTERIOR


def load_runs(paths, labels=None):
    """{label: posterior} of the runs in folders (or files of posteriors); raises ValueError for others.

    labels: one a run; otherwise a run has its own, or its path where two runs have the same.
    """
    if len({Path(path).resolve() for path in paths}) != len(paths):
        raise ValueError(f"runs must be distinct; got {', '.join(map(str, paths))}")
    found = [_load(Path(path)) for path in paths]
    if labels is None:
        own = [str(results.attributes(container).get("label", path)) for container, path in zip(found, paths)]
        labels = [str(path) if own.count(name) > 1 else name for name, path in zip(own, paths)]
    if len(labels) != len(paths) or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be {len(paths)} distinct names; got {', '.join(labels)}")
    return dict(zip(labels, found, strict=True))


def _load(path):
    file = path / POSTERIOR if path.is_dir() else path
    try:
        return results.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a run with a {POSTERIOR}: {error}") from error


def common_truth(runs):
    """The truth, {variable: value}, if all runs had the same one, else None."""
    truths = [results.attributes(container).get("truth") for container in runs.values()]
    return truths[0] if all(truth == truths[0] for truth in truths) else None


def table(runs):
    """Quality gates of every run, then the median and 68% interval, or the limit, of every parameter."""
    summaries = {name: results.summary(container) for name, container in runs.items()}
    width = max(map(len, runs))
    lines = []
    for name, summary in summaries.items():
        quality = summary.diagnostics
        verdict = "passed" if quality.passed else "NOT PASSED"
        lines.append(
            f"{name.ljust(width)}  quality gates {verdict}: {quality.chains} x "
            f"{quality.total_draws // quality.chains} draws, worst R-hat {quality.worst_rhat:.4f}, "
            f"smallest ESS {quality.smallest_ess:.0f}"
        )
        lines += [f"{' ' * width}  WARNING: {sentence}" for sentence in quality.warnings]
    rows = [{row.name: row for row in summary.rows} for summary in summaries.values()]
    variables = dict.fromkeys([*results.DISPLAY, *(name for row in rows for name in row)])
    body = [["parameter", *runs]]
    for variable in variables:
        cells = [_cell(row.get(variable), summary) for row, summary in zip(rows, summaries.values())]
        if any(cells):
            unit = results.DISPLAY.get(variable, results.Display(variable)).unit
            body.append([f"{variable} [{unit}]" if unit else variable, *cells])
    widths = [max(map(len, column)) for column in zip(*body, strict=True)]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in body]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    prob = 100 * next(iter(summaries.values())).prob
    note = f"Median and {prob:g}% HPD interval, or limit where the posterior is open at an edge of the prior."
    return "\n".join([*lines, "", text[0], rule, *text[1:], "", note])


def _cell(row, summary):
    if row is None:
        return ""
    if row.fixed:
        return f"{row.median:.4g} (fixed)"
    if row.limit is not None:
        sign = "<" if row.open == "low" else ">"
        return f"{sign} {row.limit:.4g} ({100 * summary.limit_prob:g}%)"
    if row.open:
        return "unconstrained"
    return f"{row.median:.4g} [{row.interval[0]:.4g}, {row.interval[1]:.4g}]"
