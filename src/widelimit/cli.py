"""The command line: ``widelimit lab``, ``race``, ``regime``, ``fit``, ``predict``, ``gram``."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The neural tangent kernel and infinite-width limits of neural networks.",
)


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    # Bad input ends with one sentence and exit code 2, an interrupt with 130; nothing is half-written,
    # and what is kept says so.
    try:
        yield
    except ValueError as error:
        typer.echo(f"widelimit: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as interrupt:
        typer.echo(f"widelimit: {str(interrupt) or 'interrupted; nothing was written.'}", err=True)
        raise typer.Exit(130) from None


@app.callback()
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Print the version if asked."""
    if show:
        from importlib import metadata

        typer.echo(f"widelimit {metadata.version('widelimit')}")
        raise typer.Exit


@app.command()
def race(
    data: Annotated[str, typer.Option(help="sine, digits, digits:onehot, diabetes, or a .csv or .npz file.")] = "sine",
    target: Annotated[str | None, typer.Option(help="Column of a CSV file (or key of an NPZ file) to predict.")] = None,
    train: Annotated[int | None, typer.Option(help="Number of training examples; default by data set.")] = None,
    test: Annotated[int | None, typer.Option(help="Number of test examples; default by data set.")] = None,
    depth: Annotated[int, typer.Option(help="Number of hidden layers.")] = 2,
    activation: Annotated[str, typer.Option(help="erf, relu, tanh, gelu, ...; a wrong name lists them all.")] = "erf",
    weight_std: Annotated[float, typer.Option(help="Scale of the weights.")] = 1.5,
    bias_std: Annotated[float, typer.Option(help="Scale of the biases.")] = 0.1,
    parameterization: Annotated[str, typer.Option(help="ntk or standard.")] = "ntk",
    widths: Annotated[str, typer.Option(help="Widths of the hidden layers, separated by commas.")] = "32,128,512,2048",
    seeds: Annotated[int, typer.Option(help="Networks per width.")] = 5,
    steps: Annotated[int | None, typer.Option(help="Gradient steps; default: until the limit has fitted.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size; default: half the largest stable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    out: Annotated[pathlib.Path, typer.Option(help="Folder for report.json, race.png and report.html.")] = pathlib.Path(
        "race"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON report alone; no progress bar.")] = False,
) -> None:
    """Race finite networks of several widths against their infinite-width limit."""
    with _sentences():
        from . import recipes

        recipes.prepare_folder(out)
        architecture = recipes.Architecture(depth, activation, weight_std, bias_std, parameterization)
        config = recipes.RaceConfig(architecture, _widths(widths), seeds, steps, learning_rate, seed)
        loaded = recipes.load(data, target=target, n_train=train, n_test=test, seed=seed)
        with _Bar(quiet=as_json) as bar:
            report = recipes.race(loaded, config, bar.update).to_dict()
        recipes.write_race(report, out)
    if as_json:
        typer.echo(json.dumps(report, allow_nan=False))
    else:
        _print_race(report, out)


@app.command()
def regime(
    data: Annotated[str, typer.Option(help="sine, digits, digits:onehot, diabetes, or a .csv or .npz file.")] = "sine",
    target: Annotated[str | None, typer.Option(help="Column of a CSV file (or key of an NPZ file) to predict.")] = None,
    train: Annotated[int | None, typer.Option(help="Number of training examples; default by data set.")] = None,
    test: Annotated[int | None, typer.Option(help="Number of test examples; default by data set.")] = None,
    depth: Annotated[int, typer.Option(help="Number of hidden layers.")] = 2,
    width: Annotated[int, typer.Option(help="Width of the hidden layers.")] = 512,
    activation: Annotated[str, typer.Option(help="erf, relu, tanh, gelu, ...; a wrong name lists them all.")] = "erf",
    weight_std: Annotated[float, typer.Option(help="Scale of the weights.")] = 1.5,
    bias_std: Annotated[float, typer.Option(help="Scale of the biases.")] = 0.1,
    parameterization: Annotated[str, typer.Option(help="ntk, standard, ...; a wrong name lists them all.")] = "ntk",
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size under --loss; default: half the largest stable at the start.")
    ] = None,
    loss: Annotated[str, typer.Option(help="mean: 1/(2no) of the sum of squares; sum: 1/2 of it.")] = "mean",
    steps: Annotated[int, typer.Option(help="Full-batch gradient steps.")] = 256,
    output_scale: Annotated[
        float | None, typer.Option(help="Train α(f - f₀) for this α, with the step divided by α².")
    ] = None,
    widths: Annotated[str, typer.Option(help="Widths for slopes, separated by commas; default: none.")] = "",
    seeds: Annotated[int, typer.Option(help="Number of networks (per width).")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    out: Annotated[pathlib.Path, typer.Option(help="Folder for report.json, regime.png, report.html.")] = pathlib.Path(
        "regime"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON report alone; no progress bar.")] = False,
) -> None:
    """Say whether a network is a kernel machine on data or learns features, and what would change that."""
    with _sentences():
        from . import recipes

        recipes.prepare_folder(out)
        architecture = recipes.Architecture(depth, activation, weight_std, bias_std, parameterization)
        config = recipes.RegimeConfig(
            architecture,
            width,
            steps,
            learning_rate,
            loss,
            seeds,
            _widths(widths) if widths else (),
            output_scale,
            seed,
        )
        loaded = recipes.load(data, target=target, n_train=train, n_test=test, seed=seed)
        with _Bar(quiet=as_json) as bar:
            result = recipes.regime(loaded, config, bar.update)
        recipes.write_regime(result, out)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), allow_nan=False))
    else:
        typer.echo(str(result.report))
        typer.echo(f"\nWritten: {out}/report.html, {out}/regime.png, {out}/report.json")


@app.command()
def fit(
    data: Annotated[str, typer.Argument(help="A .csv file with a header, or a .npz file with x and y.")],
    target: Annotated[str | None, typer.Option(help="Column to predict (or key of an NPZ file).")] = None,
    criterion: Annotated[
        str | None,
        typer.Option(help="evidence, loo, density, accuracy or cv; default: evidence, of classes loo."),
    ] = None,
    depths: Annotated[str, typer.Option(help="Numbers of hidden layers to compare, separated by commas.")] = "1,2,3,5",
    test: Annotated[float, typer.Option(help="Share of the rows that is held out for the test.")] = 0.2,
    rows: Annotated[int, typer.Option(help="Most rows on which candidates are compared.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    relevance: Annotated[
        bool, typer.Option("--relevance", help="Seek a scale for each feature; kept if it predicts better.")
    ] = False,
    landmarks: Annotated[
        int | None,
        typer.Option(help="Rows that stand for all (Nyström); default: all up to 20,000 rows, then 1,000."),
    ] = None,
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the model and its report.")] = pathlib.Path("model"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON report alone; no progress bar.")] = False,
) -> None:
    """Fit a kernel machine to a table: architecture and ridge chosen, tested on rows it has not seen."""
    with _sentences():
        from . import recipes

        recipes.prepare_folder(out)
        config = recipes.FitConfig(
            criterion, _widths(depths, "depths", "1,2,3"), test, rows, seed, relevance, landmarks
        )
        with _Bar(quiet=as_json) as bar:
            found = recipes.fit(data, target, config, bar.update)
        recipes.write_fit(found, out)
    if as_json:
        typer.echo(json.dumps(found.document, allow_nan=False))
    else:
        _print_fit(found.document, out)


@app.command()
def predict(
    model: Annotated[pathlib.Path, typer.Argument(help="A folder that widelimit fit has written.")],
    data: Annotated[str, typer.Argument(help="A .csv or .npz file with the columns of the one that was fitted.")],
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    out: Annotated[pathlib.Path, typer.Option(help="Where predictions go, .csv or .npz.")] = pathlib.Path(
        "predictions.csv"
    ),
) -> None:
    """Predict a table by a fitted model: mean, deviation and interval, or class and probabilities."""
    with _sentences():
        from . import recipes

        recipes.check_ending(out)
        recipes.prepare_file(out, out.suffix)
        found = recipes.predict(recipes.read_model(model), data, level=level)
        recipes.write_predictions(found, out)
    for note in found.notes:
        typer.echo(f"widelimit: {note}", err=True)
    count = len(next(iter(found.columns.values())))
    typer.echo(f"Written: {out}, {count} rows of {', '.join(found.columns)}")


@app.command()
def gram(
    inputs: Annotated[pathlib.Path, typer.Argument(help="A .npy, .npz or .csv file with one example per row.")],
    net: Annotated[
        str, typer.Option(help="dense, cntk, myrtle5, ...; dense:3 with a depth; a .json file; a wrong name lists all.")
    ] = "dense",
    other: Annotated[
        pathlib.Path | None, typer.Option(help="A second file: the kernel of the first inputs with these.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Array of an NPZ file; default: x, or the only one.")] = None,
    kernel: Annotated[str, typer.Option(help="ntk or nngp.")] = "ntk",
    double: Annotated[bool, typer.Option("--double", help="float64 in place of float32.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take, and stop.")] = False,
    out: Annotated[pathlib.Path, typer.Option(help="Where the matrix goes, as NPY.")] = pathlib.Path("gram.npy"),
    store: Annotated[
        pathlib.Path | None,
        typer.Option(help="A folder in place of --out, for matrices beyond memory; the same call goes on."),
    ] = None,
    tile: Annotated[int | None, typer.Option(help="With --store: rows of a tile; default: a minute of work.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="With --store: a Dask cluster, tcp://host:8786; default: threads.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="With --store: check what is there instead.")] = False,
) -> None:
    """Write the kernel matrix of an infinite network on data."""
    if store is not None or verify or tile is not None or scheduler is not None:
        with _sentences():
            if store is None:
                raise ValueError("--verify, --tile and --scheduler go with --store; give a folder: --store gram.zarr")
            if other is not None:
                raise ValueError("--store keeps the symmetric matrix of one file; leave --other out, or give --out.")
            _store(inputs, key, double, (net, store, kernel, tile, scheduler), (plan, verify))
        return
    with _sentences():
        from . import recipes

        recipes.prepare_file(out, ".npy")
        built = recipes.network(net)
        dtype = "float64" if double else "float32"
        x1, x2 = (None if f is None else recipes.read_inputs(f, key).astype(dtype) for f in (inputs, other))
        assert x1 is not None
        typer.echo(str(recipes.gram_plan(built, x1, x2)), err=True)
        if plan:
            return
        matrix = recipes.gram(built, x1, x2, kernel=kernel)
        recipes.write_array(out, matrix)
    typer.echo(f"Written: {out}, {matrix.shape[0]} x {matrix.shape[1]} in {matrix.dtype}")


def _store(
    inputs: pathlib.Path, key: str | None, double: bool, how: tuple[Any, ...], instead: tuple[bool, bool]
) -> None:
    from . import recipes

    net, *rest = how
    config = recipes.StoreConfig(recipes.network(net), *rest)
    x = recipes.read_inputs(inputs, key).astype("float64" if double else "float32")
    plan, verify = instead
    if not verify:
        typer.echo(str(recipes.store_plan(config, x)), err=True)
    if plan:
        return
    with _Bar(quiet=False) as bar:
        done = (recipes.verify_gram if verify else recipes.store_gram)(config, x, bar.update)
    typer.echo(done if verify else f"Written: {done}")


@app.command()
def lab(
    port: Annotated[int, typer.Option(help="Where it listens; what the browser keeps belongs to one port.")] = 8421,
    host: Annotated[str, typer.Option(help="Which interface it listens on; by default this machine alone.")] = (
        "127.0.0.1"
    ),
    browser: Annotated[bool, typer.Option(help="Open the page in the browser, if there is one.")] = True,
    cells: Annotated[
        bool | None, typer.Option(help="Let the page run code cells; default: only if this machine alone reaches it.")
    ] = None,
    export: Annotated[
        pathlib.Path | None, typer.Option(help="Write the page with recorded runs into this folder instead.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check installation, port and witnesses instead.")] = False,
) -> None:
    """Open the lab: a page about the neural tangent kernel that computes what it says."""
    with _sentences():
        _need_lab()
        if check:
            from .lab._check import check as check_lab

            raise typer.Exit(0 if check_lab(host, port, typer.echo) else 1)
        if export is not None:
            from .lab._export import export as export_lab

            with _Bar(quiet=False) as bar:
                export_lab(export, bar.update)
            typer.echo(f"Written: {export}/index.html")
            return
        from .lab._serve import run

        run(host, port, browser, cells, typer.echo)


def _need_lab() -> None:
    from importlib import util

    needed = (
        "jinja2",
        "latex2mathml",
        "markdown_it",
        "mdit_py_plugins",
        "msgspec",
        "starlette",
        "uvicorn",
        "websockets",
    )
    missing = [name for name in needed if util.find_spec(name) is None]
    if missing:
        raise ValueError(f"the lab needs {', '.join(missing)}; install them with: pip install 'widelimit[lab]'")


def _widths(text: str, name: str = "widths", example: str = "32,128,512") -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{name} is {text!r}; expected whole numbers separated by commas, such as {example}."
        ) from None


class _Bar:
    # A progress bar with an estimate of the time that is left, on standard error.
    def __init__(self, quiet: bool) -> None:
        from rich import progress
        from rich.console import Console

        self.bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(elapsed_when_finished=False),
            console=Console(stderr=True),
            disable=quiet,
            transient=True,
            speed_estimate_period=3600,
        )
        self.task = self.bar.add_task("starting", total=1.0)

    def __enter__(self) -> "_Bar":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, done: float, total: float, what: str) -> None:
        self.bar.update(self.task, completed=done / total, total=1.0, description=what)


def _print_race(report: dict[str, Any], out: pathlib.Path) -> None:
    from rich.console import Console

    from .recipes import footnotes, row_table, trend_table

    console = Console()
    header, rows = row_table(report)
    brief = [0, 1, 2, 5, 6, 7, 8]
    _print_table(console, [header[i] for i in brief], [[row[i] for i in brief] for row in rows])
    for note in footnotes(report):
        console.print(note, highlight=False)
    header, rows = trend_table(report)
    # The page has the theory and the reason of a poor fit in words.
    theory = [
        f"{t['leading']:g}" if t["leading"] == t["bound"] else f"{t['bound']:g} to {t['leading']:g}"
        for t in report["trends"]
    ]
    _print_table(
        console,
        [*header[:3], "theory", "fit"],
        [[*r[:3], t, r[4] if r[4] == "good" else "poor"] for r, t in zip(rows, theory, strict=True)],
    )
    console.print(report["verdict"], highlight=False)
    console.print(f"\nWritten: {out}/report.html, {out}/race.png, {out}/report.json", highlight=False)


def _print_fit(document: dict[str, Any], out: pathlib.Path) -> None:
    from rich.console import Console

    from .recipes import candidate_table, score_table

    console = Console()
    header, rows = candidate_table(document)
    _print_table(console, header[:-1], [row[:-1] for row in rows])
    _print_table(console, *score_table(document))
    for finding in document["findings"]:
        console.print(f"! {finding['sentence']} {finding['remedy']}", highlight=False)
    console.print(document["verdict"], highlight=False)
    files = ("model.json", "arrays.npz", "report.html", "report.json", "fit.png")
    console.print(f"\nWritten: {', '.join(f'{out}/{name}' for name in files)}", highlight=False)


def _print_table(console: "Console", header: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for i, name in enumerate(header):
        longest = max(len(row[i]) for row in rows)
        table.add_column(name, justify="left" if i == 0 else "right", vertical="bottom", min_width=longest)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()
