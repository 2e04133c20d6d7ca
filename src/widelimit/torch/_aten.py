"""The operations of PyTorch that have a rule in JAX, by name.

A rule takes the arguments of the operation as PyTorch's schema lists them, with arrays for tensors, tuples for lists
and without those that say where a tensor is kept. The derivative at a kink is that of PyTorch.
"""

from . import _aten_elements, _aten_layers, _aten_pool, _aten_products, _aten_shapes

RULES = {
    **_aten_elements.RULES,
    **_aten_shapes.RULES,
    **_aten_products.RULES,
    **_aten_layers.RULES,
    **_aten_pool.RULES,
}
OPERATIONS = tuple(sorted(RULES))
"""Names of the operations of PyTorch (``torch.ops.aten``) that `from_torch` turns into JAX."""
