"""A torch module as ``(f, params)``, the form in which everything in JAX here takes a model."""

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Params, PyTree, Shape
from ._aten import RULES
from ._library import Module, Tensor, torch
from ._problem import batch, outputs_of, problem
from ._program import Dtype, Program, Slot, program_of

CHECKED = 3
"""Examples on which the outputs of the module and of the function are compared."""


class TorchModel(eqx.Module):
    """The function of a torch module: its operations in JAX, mapped over the examples of a batch.

    Two of them share compiled code where their modules do the same.

    Attributes
    ----------
    program
        The operations.
    trained
        Names and shapes of the trained parameters of the module.
    shapes
        Shape of an example of each input.
    out_shape
        Shape of the outputs of an example.
    state
        Buffers, constants and frozen parameters, by name; they are held fixed.
    """

    program: Program = eqx.field(static=True)
    trained: tuple[tuple[str, Shape], ...] = eqx.field(static=True)
    shapes: tuple[Shape, ...] = eqx.field(static=True)
    out_shape: Shape = eqx.field(static=True)
    state: dict[str, Array]

    def __call__(self, params: Params, x: PyTree) -> Array:
        """Return the outputs of a batch, an array or a tuple of arrays, in the dtype of the parameters."""
        inputs = tuple(jnp.asarray(a) for a in (x if isinstance(x, tuple) else (x,)))
        shapes = tuple(a.shape[1:] for a in inputs)
        if shapes != self.shapes:
            raise ValueError(
                f"x has examples of shape {_listed(shapes)}; expected {_listed(self.shapes)}, as in the example that "
                "from_torch was given. Call from_torch again for another shape."
            )
        values = {**self.state, **{name: _entry(params, name) for name, _ in self.trained}}
        return jax.vmap(lambda *x: self._outputs(values, x))(*inputs)

    def _outputs(self, values: dict[str, Array], x: tuple[Array, ...]) -> Array:
        dtype = jnp.result_type(*(values[name] for name, _ in self.trained))
        slots: dict[str, Any] = {slot: _floating(values[name], dtype) for slot, name in self.program.bound}
        slots.update((slot, _floating(a[None], dtype)) for slot, a in zip(self.program.inputs, x, strict=True))
        for step in self.program.steps:
            arguments, options = (_filled(part, slots, dtype) for part in (step.arguments, step.options))
            slots[step.result] = RULES[step.operation](*arguments, **dict(options))
        return jnp.reshape(slots[self.program.output], self.out_shape)


def from_torch(module: Module, example: Any) -> tuple[TorchModel, Params]:
    r"""Return a torch module as a function of JAX arrays and its parameters.

    ``torch.export`` writes the module down as a list of operations, and each is done in JAX. So all that takes
    ``f(params, batch)`` takes the module: `EmpiricalNTK` with every method, operators, `linearize`,
    ``kernel_velocity`` and `widelimit.regime.diagnose`.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in evaluation mode, treating examples independently, that maps a batch to a tensor with
        one row per example. Buffers and parameters that do not require gradients are held fixed at their values now.
    example
        A batch (n, \*shape): a tensor or an array, or a tuple of them for a module of several inputs. The function
        takes any number of examples of this shape.

    Returns
    -------
    tuple
        ``f(params, batch) -> (n, ...)``, and the parameters: copies, in nested dictionaries by the parts of their
        names, so that ``"0.weight"`` is ``params["0"]["weight"]``. They are of the dtype of the module.

    Raises
    ------
    ValueError
        If the module is not in evaluation mode, trains nothing, returns no tensor, cannot be written down, has an
        operation that is not among `OPERATIONS` or stops gradients; or if the function gives other outputs for the
        examples than the module, as when they depend on one another.

    References
    ----------
    The operations are those of ``torch.ops.aten``, composite ones taken apart as for the core ATen IR
    (https://docs.pytorch.org/docs/stable/torch.compiler_ir.html).
    """
    task = problem(module, None)
    x = batch(_tensors(example, next(iter(task.params.values()))), "example")
    x = tuple(a[:CHECKED] for a in x)
    with torch.no_grad():
        flat = outputs_of(module, x)
        expected = module(*x)
    if not flat.is_floating_point():
        raise ValueError(f"module returned {flat.dtype}; expected outputs that are real floating-point numbers.")
    program, tensors = program_of(module, x)
    first = {id(p): name for name, p in task.params.items()}
    every = dict(module.named_parameters(remove_duplicate=False))
    # A tied parameter goes by its first name.
    same = {name: first.get(id(every[name]), name) if name in every else name for name in tensors}
    program = _renamed(program, same)
    state = {name: _array(t) for name, t in tensors.items() if same[name] not in task.params}
    shapes = tuple(tuple(a.shape[1:]) for a in x)
    trained = tuple((name, tuple(p.shape)) for name, p in task.params.items())
    f = TorchModel(program, trained, shapes, tuple(expected.shape[1:]), state)
    params = _nested({name: _array(p) for name, p in task.params.items()})
    _compare(f, params, x, flat)
    return f, params


def params_of(f: TorchModel, source: Module | Mapping[str, Tensor]) -> Params:
    """Return the parameters for ``f`` of a module or of its ``state_dict()``, as at a checkpoint of a training run.

    Parameters
    ----------
    f
        What `from_torch` returned.
    source
        The module in a later state, or a ``state_dict()``. Values are copied.

    Returns
    -------
    Params
        A pytree as `from_torch` gave it.

    Raises
    ------
    ValueError
        If a parameter is missing, has another shape, or what ``f`` holds fixed (running statistics, frozen parameters)
        has other values in ``source``.
    """
    tensors = source if isinstance(source, Mapping) else source.state_dict()
    other = [name for name, shape in f.trained if name not in tensors or tuple(tensors[name].shape) != shape]
    if other:
        raise ValueError(
            f"source has no {other}, or with other shapes; expected the state_dict of the module that f was made of."
        )
    for name, value in f.state.items():
        if name in tensors and not np.array_equal(np.asarray(value), _numpy(tensors[name])):
            raise ValueError(
                f"source has other values of {name!r}, which f holds fixed; expected a run in which it does not "
                "change: train with module.eval(), or call from_torch at this checkpoint."
            )
    return _nested({name: _array(tensors[name]) for name, _ in f.trained})


def _compare(f: TorchModel, params: Params, x: tuple[Tensor, ...], expected: Tensor) -> None:
    inputs = tuple(a.cpu().numpy() for a in x)
    wanted = _numpy(expected).astype(np.float64)
    with jax.enable_x64(expected.dtype == torch.float64):
        out = np.asarray(eqx.filter_jit(f)(params, inputs), np.float64).reshape(wanted.shape)
    # Half of the digits: rounding differs with the order of sums, examples that depend on one another by much more.
    far = np.max(np.abs(out - wanted)) / max(float(np.max(np.abs(wanted))), 1e-30)
    if not far <= math.sqrt(torch.finfo(expected.dtype).eps):
        raise ValueError(
            f"the outputs in JAX differ from those of the module by {far:.1e} of the largest; expected a module that "
            "treats examples independently and draws no random numbers: call module.eval()."
        )


def _tensors(example: Any, like: Tensor) -> tuple:
    def tensor(a: Any) -> Any:
        a = a.detach() if isinstance(a, torch.Tensor) else torch.from_numpy(np.array(a))
        return a.to(like.device, like.dtype) if a.is_floating_point() else a.to(like.device)

    return tuple(tensor(a) for a in (example if isinstance(example, tuple) else (example,)))


def _renamed(program: Program, same: Mapping[str, str]) -> Program:
    bound = tuple((slot, same[name]) for slot, name in program.bound)
    parts = (program.steps, program.inputs, bound, program.output)
    return Program(repr(parts), *parts)


def _filled(value: Any, slots: Mapping[str, Any], dtype: Any) -> Any:
    if isinstance(value, Slot):
        return slots[value.name]
    if isinstance(value, Dtype):
        named = jnp.dtype(value.name)
        return dtype if jnp.issubdtype(named, jnp.floating) else jax.dtypes.canonicalize_dtype(named)
    return tuple(_filled(v, slots, dtype) for v in value) if isinstance(value, tuple) else value


def _floating(value: Any, dtype: Any) -> Array:
    value = jnp.asarray(value)
    return value.astype(dtype) if jnp.issubdtype(value.dtype, jnp.floating) else value


def _nested(flat: Mapping[str, Any]) -> dict:
    tree: dict = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return tree


def _entry(params: Params, name: str) -> Array:
    part = params
    for key in name.split("."):
        if not isinstance(part, Mapping) or key not in part:
            raise ValueError(f"params has no {name!r}; expected a pytree as from_torch or params_of returned it.")
        part = part[key]
    return part


def _numpy(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.float().numpy().astype(jnp.bfloat16)
    return np.array(tensor.numpy())


def _array(tensor: Tensor) -> Any:
    value = _numpy(tensor)
    # A float64 array of JAX would be rounded by the next operation while x64 is off.
    rounds = jax.dtypes.canonicalize_dtype(value.dtype) != value.dtype and np.issubdtype(value.dtype, np.floating)
    return value if rounds else jnp.asarray(value)


def _listed(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(str(tuple(s)) for s in shapes)
