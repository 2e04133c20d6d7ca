"""Vectors of 16 numbers as values in Numba code: one instruction per operation, whatever the vectoriser would decide.

A value of type `Lanes` lives in registers. It is added, subtracted, multiplied and divided, also by plain numbers; the
functions below load and store it and do the rest. LLVM maps it to what the processor has: one register of AVX-512 in
single precision, two of AVX2, four of NEON.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba import njit, types
from numba.extending import intrinsic, models, overload, register_model

WIDTH = 16
"""Numbers in a vector."""

# A product and a sum may become one instruction; an inverse root may come from an estimate and a Newton step.
_FLAGS = ("contract", "nsz")
_ROUGHLY = ("contract", "nsz", "afn", "arcp", "reassoc", "ninf", "nnan")


# Numba's own types do not tell that these are decorators of anything.
_compile: Any = njit
_intrinsic: Any = intrinsic

part = _compile(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compile a function that other compiled functions call."""

inline = _compile(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""Compile a function as a part of the loops that call it."""


class Lanes(types.Type):
    """The Numba type of a vector of `WIDTH` numbers of one type."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        types.Type.__init__(self, name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        models.PrimitiveModel.__init__(self, dmm, fe_type, _vector(fe_type.dtype))


def _vector(dtype: types.Float) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if dtype == types.float32 else ir.DoubleType(), WIDTH)


def _filled(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [ir.Constant(vector.element, float(value))] * WIDTH)


def _spread(context: Any, builder: Any, value: Any, given: Any, to: Lanes) -> Any:
    # A vector as it is; a number in every lane.
    if isinstance(given, Lanes):
        return value
    number, vector = context.cast(builder, value, given, to.dtype), _vector(to.dtype)
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [ir.Constant(ir.IntType(32), 0)] * WIDTH)
    return builder.shuffle_vector(first, nothing, mask)


def _function(emit: Callable, count: int) -> Any:
    # A function of vectors, some of which may be numbers.
    def typed(*given: Any) -> Any:
        found = [t for t in given if isinstance(t, Lanes)]
        if not found or not all(t == found[0] or isinstance(t, types.Number) for t in given):
            return None

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [_spread(context, builder, v, t, found[0]) for v, t in zip(args, signature.args, strict=True)]
            return emit(builder, *values)

        return found[0](*given), codegen

    if count == 1:
        return _intrinsic(lambda typingctx, a: typed(a))  # noqa: ARG005
    if count == 2:
        return _intrinsic(lambda typingctx, a, b: typed(a, b))  # noqa: ARG005
    return _intrinsic(lambda typingctx, a, b, c: typed(a, b, c))  # noqa: ARG005


def _llvm(name: str) -> Callable:
    # An intrinsic function of LLVM on vectors.
    def emit(builder: Any, *args: Any) -> Any:
        kind = args[0].type
        full = f"llvm.{name}.v{WIDTH}{'f32' if kind.element == ir.FloatType() else 'f64'}"
        function = builder.module.globals.get(full)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(args)), full)
        return builder.call(function, args)

    return emit


_add = _function(lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS), 2)
_sub = _function(lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS), 2)
_mul = _function(lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS), 2)
_div = _function(lambda builder, a, b: builder.fdiv(a, b, flags=_FLAGS), 2)

lesser = _function(lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y), 2)
greater = _function(lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y), 2)
where_positive = _function(lambda b, c, x, y: b.select(b.fcmp_ordered(">", c, _filled(c.type, 0)), x, y), 3)
absolute = _function(_llvm("fabs"), 1)
with_sign = _function(_llvm("copysign"), 2)
root = _function(_llvm("sqrt"), 1)
inverse = _function(lambda builder, a: builder.fdiv(_filled(a.type, 1), a, flags=_ROUGHLY), 1)


def _overloaded(pair: Any) -> Callable:
    def choose(a, b):
        if isinstance(a, Lanes) or isinstance(b, Lanes):
            return lambda a, b: pair(a, b)
        return None

    return choose


for _symbol, _pair in ((operator.add, _add), (operator.sub, _sub), (operator.mul, _mul), (operator.truediv, _div)):
    overload(_symbol)(_overloaded(_pair))


def polynomial(single: int, double: int) -> Any:
    """Return a compiled function ``(x, memory)``: a polynomial in a vector.

    Its coefficients stand in memory, the highest power first: ``single`` or ``double`` of them, by precision. Read from
    there they are operands of the instructions; as constants they would fill the registers.
    """

    @_intrinsic
    def function(typingctx, x, memory):  # noqa: ARG001
        count = single if x.dtype == types.float32 else double

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, memory = args
            value = None
            for k in range(count):
                number = builder.load(builder.gep(memory, [ir.Constant(ir.IntType(64), k)]))
                c = _spread(context, builder, number, signature.args[1].dtype, signature.args[0])
                value = c if value is None else builder.fadd(builder.fmul(value, x, flags=_FLAGS), c, flags=_FLAGS)
            return value

        return x(x, memory), codegen

    return function


def fitted(single: tuple[float, ...], double: tuple[float, ...]) -> Any:
    """Return a compiled function of a vector: a polynomial, its coefficients by precision, the lowest power first."""

    @_intrinsic
    def function(typingctx, x):  # noqa: ARG001
        coefficients = single if x.dtype == types.float32 else double

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            value = _filled(args[0].type, coefficients[-1])
            for c in coefficients[-2::-1]:
                product = builder.fmul(value, args[0], flags=_FLAGS)
                value = builder.fadd(product, _filled(args[0].type, c), flags=_FLAGS)
            return value

        return x(x), codegen

    return function


def _converted(builder: Any, value: Any, given: Lanes, to: Lanes) -> Any:
    if given == to:
        return value
    convert = builder.fpext if to.dtype == types.float64 else builder.fptrunc
    return convert(value, _vector(to.dtype))


@_intrinsic
def widened(typingctx, value):  # noqa: ARG001
    """Return a vector in double precision."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return _converted(builder, args[0], signature.args[0], signature.return_type)

    return Lanes(types.float64)(value), codegen


@_intrinsic
def narrowed(typingctx, value, memory):  # noqa: ARG001
    """Return a vector in the precision of what is behind a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return _converted(builder, args[0], signature.args[0], signature.return_type)

    return Lanes(memory.dtype)(value, memory), codegen


@_intrinsic
def pointer(typingctx, memory, index):  # noqa: ARG001
    """Return a pointer to an element of a flat array, or behind another pointer.

    Numba counts references to arrays wherever they are handed on; pointers are numbers. The array has to live on.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, kind = args[0], signature.args[0]
        if isinstance(kind, types.Array):
            data = context.make_array(kind)(context, builder, data).data
        return builder.gep(data, [args[1]])

    return types.CPointer(memory.dtype)(memory, types.intp), codegen


@_intrinsic
def load(typingctx, memory, index):  # noqa: ARG001
    """Return the 16 numbers behind a pointer, from an index on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.load(
            _address(builder, signature.args[0], *args[:2]), align=signature.args[0].dtype.bitwidth // 8
        )

    return Lanes(memory.dtype)(memory, types.intp), codegen


@_intrinsic
def store(typingctx, memory, index, value):  # noqa: ARG001
    """Write a vector behind a pointer, from an index on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(builder, signature.args[0], *args[:2])
        builder.store(args[2], address, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(memory, types.intp, Lanes(memory.dtype)), codegen


@_intrinsic
def spread(typingctx, memory, index):  # noqa: ARG001
    """Return a vector with the number behind a pointer, at an index, in every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        return _spread(context, builder, builder.load(builder.gep(args[0], [args[1]])), kind.dtype, Lanes(kind.dtype))

    return Lanes(memory.dtype)(memory, types.intp), codegen


@_intrinsic
def zeros(typingctx, memory):  # noqa: ARG001
    """Return a vector of zeros of the type behind a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return _filled(_vector(signature.return_type.dtype), 0)

    return Lanes(memory.dtype)(memory), codegen


def _address(builder: Any, kind: types.CPointer, memory: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(memory, [index]), ir.PointerType(_vector(kind.dtype)))
