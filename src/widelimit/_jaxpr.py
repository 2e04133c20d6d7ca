"""Walking a jaxpr: tracing, inlining, and evaluating parts of it.

Only the modules ``_jaxpr*`` touch ``jax.extend``. A value of a jaxpr has a colour: NEUTRAL depends on nothing that is
passed in, PARAMETER on parameters and perhaps constants, DATA on data.
"""

from typing import Any

import jax
from jax.extend import core

from ._typing import Array, Callable, PyTree

NEUTRAL, PARAMETER, DATA = 0, 1, 2

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Primitives that call a jaxpr with their own operands, and the name under which they hold it."""


def trace(fn: Callable, *args: PyTree) -> core.ClosedJaxpr:
    """Return the jaxpr of ``fn`` on arguments (arrays or shapes) of which each leaf is one input."""
    return jax.make_jaxpr(fn)(*args)


def is_literal(atom: Any) -> bool:
    """Return whether an operand of an equation is a constant written in place."""
    return isinstance(atom, core.Literal)


def read(values: dict, atom: Any) -> Any:
    """Return the value of an operand."""
    return atom.val if is_literal(atom) else values[atom]


def bind(eqn: Any, inputs: list) -> list:
    """Return the results of one equation."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    # JAX has returned the parameters alone, or functions and parameters, depending on its version.
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    out = eqn.primitive.bind(*functions, *inputs, **params)
    return list(out) if eqn.primitive.multiple_results else [out]


def colours(jaxpr: Any, inputs: list[int]) -> dict:
    """Return the colour of every variable, given those of the inputs.

    Parameters that are repeated only to meet data, as a bias at all positions, meet it before they are repeated.
    """
    found = dict.fromkeys(jaxpr.constvars, NEUTRAL)
    found.update(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        colour = max((found[v] for v in eqn.invars if not is_literal(v)), default=NEUTRAL)
        found.update(dict.fromkeys(eqn.outvars, colour))
    kept = {v for e in jaxpr.eqns if found.get(_first(e)) == PARAMETER for v in e.invars if not is_literal(v)}
    for eqn in jaxpr.eqns:
        out = _first(eqn)
        repeats = eqn.primitive.name == "broadcast_in_dim" and out.aval.size > eqn.invars[0].aval.size
        if repeats and found[out] == PARAMETER and out not in kept:
            found[out] = DATA
    return found


def _first(eqn: Any) -> Any:
    return eqn.outvars[0] if eqn.outvars else None


def needed(jaxpr: Any, targets: list, given: dict) -> list:
    """Return the equations that ``targets`` need, in order, when the variables in ``given`` are known."""
    wanted = {v for v in targets if not is_literal(v) and v not in given}
    chosen = []
    for eqn in reversed(jaxpr.eqns):
        if any(v in wanted for v in eqn.outvars):
            chosen.append(eqn)
            wanted.update(v for v in eqn.invars if not is_literal(v) and v not in given)
    return chosen[::-1]


def live(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return the jaxpr without equations that its outputs do not need."""
    jaxpr: Any = closed.jaxpr
    return core.ClosedJaxpr(jaxpr.replace(eqns=needed(jaxpr, list(jaxpr.outvars), {})), closed.consts)


def evaluate(jaxpr: Any, given: dict, targets: list) -> list:
    """Return the values of ``targets``, evaluating only what they need beyond the known values ``given``."""
    values = dict(given)
    for eqn in needed(jaxpr, targets, given):
        values.update(zip(eqn.outvars, bind(eqn, [read(values, v) for v in eqn.invars]), strict=True))
    return [read(values, v) for v in targets]


def called(eqn: Any) -> core.ClosedJaxpr:
    """Return the jaxpr that a call or a scan holds."""
    inner = eqn.params[CALLS.get(eqn.primitive.name, "jaxpr")]
    return inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())


def inline(closed: core.ClosedJaxpr, inputs: list[int]) -> core.ClosedJaxpr:
    """Return an equal jaxpr without calls, in which the bodies of scans do no work on parameters alone.

    What a scan would do to its parameters in each step (transposing or scaling a weight) is done before it, on all
    steps at once where the parameters are stacked. ``inputs`` are the colours of the inputs.
    """

    def flat(*args: Array) -> list:
        values, _ = _inline(closed.jaxpr, closed.consts, args, inputs)
        return values

    return jax.make_jaxpr(flat)(*[jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in closed.jaxpr.invars])


def _inline(jaxpr: Any, consts: Any, args: Any, inputs: list[int]) -> tuple[list, list[int]]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    colour = {**dict.fromkeys(jaxpr.constvars, NEUTRAL), **dict(zip(jaxpr.invars, inputs, strict=True))}
    for eqn in jaxpr.eqns:
        ins = [read(values, v) for v in eqn.invars]
        tints = [NEUTRAL if is_literal(v) else colour[v] for v in eqn.invars]
        most = max(tints, default=NEUTRAL)
        out_tints = [most] * len(eqn.outvars)
        if eqn.primitive.name in CALLS:
            inner = called(eqn)
            out, out_tints = _inline(inner.jaxpr, inner.consts, ins, tints)
        elif eqn.primitive.name == "scan" and most == DATA and PARAMETER in tints:
            out = _inline_scan(eqn, ins, tints)
        else:
            out = bind(eqn, ins)
        values.update(zip(eqn.outvars, out, strict=True))
        colour.update(zip(eqn.outvars, out_tints, strict=True))
    outs = [NEUTRAL if is_literal(v) else colour[v] for v in jaxpr.outvars]
    return [read(values, v) for v in jaxpr.outvars], outs


def scan_parts(eqn: Any, operands: list) -> tuple[list, list, list]:
    """Return the constants, the initial carry and the stacked inputs of a scan."""
    constants, carry = eqn.params["num_consts"], eqn.params["num_consts"] + eqn.params["num_carry"]
    return operands[:constants], operands[constants:carry], operands[carry:]


def rescan(eqn: Any, body: Callable, init: list, xs: PyTree) -> tuple[list, Any]:
    """Return the result of a scan with another body over ``xs``, otherwise run like the scan ``eqn``."""
    run = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    return jax.lax.scan(body, list(init), xs, **run)


def _inline_scan(eqn: Any, ins: list, tints: list[int]) -> list:
    consts, init, xs = scan_parts(eqn, ins)
    tints = [*tints[: len(consts)], *[DATA] * len(init), *tints[len(consts) + len(init) :]]
    body = inline(called(eqn), tints)
    jaxpr: Any = body.jaxpr
    colour = colours(jaxpr, tints)
    const_vars, _, x_vars = scan_parts(eqn, list(jaxpr.invars))
    fixed = dict(zip([*jaxpr.constvars, *const_vars], [*body.consts, *consts], strict=True))
    computed = [v for e in jaxpr.eqns for v in e.outvars if colour[v] == PARAMETER]
    used = {v for e in jaxpr.eqns if colour[e.outvars[0]] == DATA for v in e.invars if not is_literal(v)}
    used |= {v for v in jaxpr.outvars if not is_literal(v)}
    hoist = [v for v in computed if v in used]
    still = {v: x for v, x in zip(x_vars, xs, strict=True) if colour[v] != DATA}
    steady = [v for v in hoist if not _touches(jaxpr, v, {*fixed}, {*still})]
    stacked = [v for v in hoist if v not in steady]
    fixed.update(zip(steady, evaluate(jaxpr, fixed, steady), strict=True))

    def ahead(slices: list) -> list:
        return evaluate(jaxpr, {**fixed, **dict(zip(still, slices, strict=True))}, stacked)

    before = jax.vmap(ahead)(list(still.values())) if stacked else []
    # What only the work ahead needed is not carried through the steps.
    rest = needed(jaxpr, list(jaxpr.outvars), dict.fromkeys(hoist))
    used = {v for e in rest for v in e.invars if not is_literal(v)} | {v for v in jaxpr.outvars if not is_literal(v)}
    through = [(v, x) for v, x in zip(x_vars, xs, strict=True) if v in used]

    def step(carry: list, slices: tuple[list, list]) -> tuple[list, list]:
        given = {**fixed, **dict(zip([*(v for v, _ in through), *stacked], [*slices[0], *slices[1]], strict=True))}
        given.update(zip(scan_parts(eqn, list(jaxpr.invars))[1], carry, strict=True))
        out = evaluate(jaxpr, given, list(jaxpr.outvars))
        return out[: len(carry)], out[len(carry) :]

    carry, ys = rescan(eqn, step, init, ([x for _, x in through], before))
    return [*carry, *ys]


def _touches(jaxpr: Any, target: Any, given: set, inputs: set) -> bool:
    equations = needed(jaxpr, [target], dict.fromkeys(given))
    return any(v in inputs for e in equations for v in e.invars if not is_literal(v))
