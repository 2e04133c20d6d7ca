"""What a layer keeps of a forward pass so that its parameters' gradients factor.

Each rule takes the layer, its input and the signals at its output, batch axis first: input (n, ...), signals
(n, o, ...), and returns for each of its own parameters a factored or small gradient.
"""

from collections.abc import Callable
from typing import Any

from ._library import Module, Tensor, torch
from ._parts import Factors, Jacobian

Parts = dict[str, Factors | Jacobian]
F: Any = torch.nn.functional


def linear(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of y = W h + b at every position."""
    n, o = g.shape[:2]
    g = g.reshape(n, o, -1, layer.out_features)
    return {"weight": Factors(h.reshape(n, -1, layer.in_features), g, 1.0), "bias": Jacobian(g.sum(2), 1.0)}


def convolution(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of the same on patches; with groups, the gradients themselves."""
    n, o = g.shape[:2]
    bias = Jacobian(g.flatten(3).sum(3), 1.0)
    settings = [layer.kernel_size, layer.dilation, layer.padding, layer.stride]
    if len(layer.kernel_size) == 1:
        h = h.unsqueeze(2)
        settings = [(neutral, *setting) for neutral, setting in zip((1, 1, 0, 1), settings, strict=True)]
    patches = F.unfold(h, *settings)
    signals = g.reshape(n, o, layer.out_channels, -1)
    if layer.groups == 1:
        return {"weight": Factors(patches.transpose(1, 2), signals.transpose(2, 3), 1.0), "bias": bias}
    patches = patches.reshape(n, layer.groups, -1, patches.shape[-1])
    signals = signals.reshape(n, o, layer.groups, -1, signals.shape[-1])
    return {"weight": Jacobian(torch.einsum("nogqt,ngct->nogqc", signals, patches).flatten(2), 1.0), "bias": bias}


def embedding(layer: Module, tokens: Tensor, g: Tensor) -> Parts:
    """Rule of a row of the table at every position."""
    n, o = g.shape[:2]
    g = g.reshape(n, o, -1, layer.embedding_dim)
    tokens = tokens.reshape(n, -1)
    if layer.padding_idx is not None:
        g = g * (tokens != layer.padding_idx)[:, None, :, None]
    return {"weight": Factors(tokens, g, 1.0)}


def layer_norm(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of scale and shift of normalised values, shared by all leading positions."""
    size = layer.weight.numel()
    normal = F.layer_norm(h, layer.normalized_shape, None, None, layer.eps).reshape(h.shape[0], 1, -1, size)
    g = g.reshape(*g.shape[:2], -1, size)
    return {"weight": Jacobian((g * normal).sum(2), 1.0), "bias": Jacobian(g.sum(2), 1.0)}


def rms_norm(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of a scale alone."""
    size = layer.weight.numel()
    normal = F.rms_norm(h, layer.normalized_shape, None, layer.eps).reshape(h.shape[0], 1, -1, size)
    return {"weight": Jacobian((g.reshape(*g.shape[:2], -1, size) * normal).sum(2), 1.0)}


def batch_norm(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of scale and shift of each channel, in evaluation mode."""
    return _channels(F.batch_norm(h, layer.running_mean, layer.running_var, None, None, False, 0.0, layer.eps), g)


def group_norm(layer: Module, h: Tensor, g: Tensor) -> Parts:
    """Rule of scale and shift of each channel."""
    return _channels(F.group_norm(h, layer.num_groups, None, None, layer.eps), g)


def _channels(normal: Tensor, g: Tensor) -> Parts:
    normal, g = normal.reshape(*normal.shape[:2], -1).unsqueeze(1), g.reshape(*g.shape[:3], -1)
    return {"weight": Jacobian((g * normal).sum(3), 1.0), "bias": Jacobian(g.sum(3), 1.0)}


def rule_of(layer: Module) -> Callable[[Module, Tensor, Tensor], Parts] | None:
    """Return the rule of a layer or None; subclasses may compute something else, so only the types themselves count."""
    kind = type(layer)
    nn = torch.nn
    if kind in (nn.Conv1d, nn.Conv2d):
        return convolution if layer.padding_mode == "zeros" and not isinstance(layer.padding, str) else None
    if kind is nn.Embedding:
        return embedding if layer.max_norm is None and not layer.scale_grad_by_freq else None
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return batch_norm
    return {nn.Linear: linear, nn.LayerNorm: layer_norm, nn.RMSNorm: rms_norm, nn.GroupNorm: group_norm}.get(kind)
